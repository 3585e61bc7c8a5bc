// Stored features of images and texts, the pairs between them, and batches of both for the training loop.
// N items, V views of each, D numbers of a feature, B pairs of a batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/describe.h"
#include "distributed/group.h"
#include "train/task.h"

namespace vicha {

/// Rows that somebody else keeps, in a file of more than memory holds.
struct KeptRows {
  std::int64_t rows = 0, width = 0;
  /// Rows of these numbers, (B) int64 -> (B, width) fp32.
  std::function<at::Tensor(const at::Tensor& rows_B)> gather;
};

/// A view of features in memory or in a file; nothing is copied before it is asked for.
class FeatureMatrix {
 public:
  /// `rows`: (N * V, D), contiguous, fp32, fp16, bf16, or int8 with `scale_N` (N * V) fp32; row i * V + v is view v of
  /// item i. `name` is what errors call it (a path). Throws DataError for other types, shapes or a number of rows that
  /// the views do not divide.
  FeatureMatrix(at::Tensor rows, std::string name, std::int64_t views = 1, at::Tensor scale_N = {});
  FeatureMatrix(KeptRows kept, std::string name, std::int64_t views = 1);

  std::int64_t size() const { return kept_.rows / views_; }
  std::int64_t rows() const { return kept_.rows; }
  std::int64_t width() const { return kept_.width; }
  std::int64_t views() const { return views_; }
  const std::string& name() const { return name_; }

  /// Rows of these numbers, (B) int64 -> (B, D) fp32, on all threads.
  at::Tensor gather(const at::Tensor& rows_B) const;
  /// Rows begin … end - 1, (end - begin, D) fp32.
  at::Tensor block(std::int64_t begin, std::int64_t end) const;

 private:
  at::Tensor converted(const at::Tensor& rows, const at::Tensor& scale) const;

  void check_views() const;

  at::Tensor rows_, scale_;  ///< undefined where `kept_` gathers
  KeptRows kept_;
  std::string name_;
  std::int64_t views_;
};

/// Mean and deviation of each number over all rows, (D) fp32. Of a number that hardly changes (by less than 1/1000 of
/// its mean or of what the numbers change by on the whole) the deviation is 1.
struct FeatureMoments {
  at::Tensor mean, deviation;
};
/// Reads all features once. Throws DataError naming the first row that has a NaN or an infinity.
FeatureMoments feature_moments(const FeatureMatrix& features);

/// Which other pairs of a batch a pair belongs to: none, those of the same text, those of the same image.
enum class PairPositives { kPair, kText, kImage };
inline constexpr Choice<PairPositives> kPairPositivesNames[] = {
    {"pair", PairPositives::kPair}, {"text", PairPositives::kText}, {"image", PairPositives::kImage}};

struct FeaturePair {
  std::int64_t image = 0, text = 0;  ///< items of the two matrices
  std::int64_t group = 0;            ///< equal for pairs that are positives of each other
};
/// Sets the groups; texts that read alike must be one item.
void set_groups(std::vector<FeaturePair>& pairs, PairPositives positives);

struct FeatureBatchOptions {
  std::int64_t batch_size = 1024;
  bool distinct_images = true;

  void describe(Visitor& v) {
    v.field(
        {.key = "batch_size", .unit = "pairs", .meaning = "Pairs of a step, of each process", .min = 2, .max = 1 << 20},
        batch_size);
    v.field({.key = "distinct_images",
             .meaning = "No batch holds an image twice as long as others are left: a pair whose image it has waits for "
                        "a later one"},
            distinct_images);
  }
};

/// What a step reads, beside the batch's core.
struct FeatureTargets : BatchTargets {
  at::Tensor image, text;  ///< (B, D) fp32, of each side its own D
  at::Tensor groups;       ///< (B) int64
  void for_each_tensor(const TensorVisit& visit) override {
    visit(image);
    visit(text);
    visit(groups);
  }
};

/// Every epoch has all pairs once, in an order of its own; those that do not fill a step are left out. Order and views
/// depend on (seed, epoch, place) only, and the union of what the ranks get on the product of batch size and ranks.
class FeatureBatchSource : public BatchSource {
 public:
  /// The matrices must outlive this. Throws DataError if a pair names an item that is not there or there are fewer
  /// pairs than one step takes.
  FeatureBatchSource(const FeatureMatrix& image, const FeatureMatrix& text, std::vector<FeaturePair> pairs,
                     const FeatureBatchOptions& options, std::int64_t seed, const Group& group = Group::alone());

  std::int64_t batches_per_epoch() const override;
  void seek(std::int64_t epoch, std::int64_t batch_in_epoch) override;
  Batch next() override;

  /// Pairs of an epoch in their order: batch b of all ranks together is the b-th part of batch_size * ranks.
  std::vector<std::int32_t> order(std::int64_t epoch) const;

 private:
  std::int64_t step_size() const { return options_.batch_size * group_.size(); }

  const FeatureMatrix &image_, &text_;
  std::vector<FeaturePair> pairs_;
  FeatureBatchOptions options_;
  std::uint64_t seed_;
  const Group& group_;
  std::int64_t epoch_ = -1, batch_ = 0;
  std::vector<std::int32_t> order_;  ///< of epoch_
};

}  // namespace vicha
