// Alignment of regions and tags with words (method, section 4, IRTA): late interaction of what a picture shows of
// itself with what its caption says, within the batch. B pictures of R regions and at most K tags, X captions, T words,
// E common embedding.
#pragma once

#include <optional>

#include "nn/linear.h"
#include "objectives/alignment_loss.h"

namespace vicha {

struct IrtaOptions : TemperedAlignmentOptions {
  bool tags = true;

  IrtaOptions() { weight = 0.5; }
  void describe(Visitor& v);
  std::string note() const override;
};

/// How well pictures and captions fit, (B, X): the mean of two, the mean over a caption's words of the largest product
/// with a part of the picture, and the mean over a picture's parts of the largest product with a word. words (T, E),
/// caption after caption; parts (B, R + K, E), of which each picture's first `parts_of` count, at least one; rows of
/// length 1. 0 for a caption without words.
at::Tensor region_word_fit(const at::Tensor& words_TE, const std::vector<std::int64_t>& words_of,
                           const at::Tensor& parts_BPE, const std::vector<std::int64_t>& parts_of);

class IrtaObjective : public Objective {
 public:
  /// Registers "irta_temp"; "irta_tag_proj" where the model reads concepts; and "irta_word_proj" and "irta_region_proj"
  /// unless the model has maps of words and patches (model.fusion.similarity), which then are the ones that learn.
  IrtaObjective(const IrtaOptions& options, Vicha& model);
  const ObjectiveOptions& options() const override { return options_; }
  void want(Wants& wants) const override { wants.regions = true; }
  std::string_view heads() const override { return "irta_heads"; }
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override;

  const Alignment& align() const { return align_; }
  /// Rows of length 1: words (T, D_text) -> (T, E), regions (B, R, D_image) -> (B, R, E).
  at::Tensor words(const at::Tensor& text_TD) const;
  at::Tensor regions(const at::Tensor& regions_BRD) const;

  /// What a picture is compared by: its regions, then its tags.
  struct Parts {
    at::Tensor rows;                     ///< (B, R + K, E), of length 1
    std::vector<std::int64_t> of_image;  ///< of each picture: the first that count
  };
  /// `concepts`: what the pictures' tags are tokens of (Batch::concepts); undefined: no tags.
  Parts parts(const ImageStates& image, const Tokens& concepts) const;

 private:
  IrtaOptions options_;
  Alignment align_;
  std::shared_ptr<const WordPatchSimilarity> shared_;
  std::optional<Linear> word_, region_, tag_;
  std::int64_t patches_;
};

/// "irta".
ObjectiveKind irta_kind();

}  // namespace vicha
