// Alignment of regions with their tags (method, section 4, IRA): each tagged region of the batch against the batch's
// distinct tags. B pictures of R regions, T tagged regions, U distinct tags, K tokens of a tag, E common embedding.
#pragma once

#include <vector>

#include "nn/linear.h"
#include "objectives/alignment_loss.h"

namespace vicha {

struct IraOptions : TemperedAlignmentOptions {
  IraOptions() { weight = 0.5; }
  void check(const ModelOptions& model) const override;
};

/// The tagged regions of a batch, and its distinct tags as the concept encoder reads them.
struct TaggedRegions : BatchTargets {
  std::vector<std::int64_t> regions;  ///< (T) numbers among the B * R regions, ascending
  at::Tensor tag;                     ///< (T) int64: which of the distinct tags
  Tokens tags;                        ///< of the U distinct tags, [CLS] first; undefined where no region has one

  void for_each_tensor(const TensorVisit& visit) override { visit(tag); }
};

/// Where tags (B, R) int64 on the host, -1 for none, are, and which there are, in the order of the vocabulary.
struct DistinctTags {
  std::vector<std::int64_t> regions, tag_of_region;  ///< (T)
  std::vector<std::int64_t> tags;                    ///< (U) of the vocabulary, ascending
};
DistinctTags distinct_tags(const at::Tensor& tags_BR);

/// Which pairs of regions and distinct tags belong together: tag (T) int64 -> (T, U) bool. A tag has one column however
/// many regions it names, so that equal tags are never negatives of each other.
at::Tensor tag_positives(const at::Tensor& tag_T, std::int64_t distinct);

/// Mean over a tag's tokens behind [CLS]: hidden (U, K, D), lengths with [CLS] -> (U, D); [CLS] where nothing follows.
at::Tensor mean_tag(const at::Tensor& hidden_UKD, const std::vector<std::int64_t>& lengths);

/// "ira". Registers "ira_temp", "ira_region_proj" and "ira_tag_proj".
ObjectiveKind ira_kind();

}  // namespace vicha
