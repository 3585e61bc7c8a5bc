// Alignment of whole pictures and whole captions (method, section 4, ITA): the class token against [CLS], within the
// batch. B pairs, E common embedding.
#pragma once

#include <optional>
#include <string>

#include "nn/linear.h"
#include "objectives/alignment_loss.h"

namespace vicha {

/// Which tokens stand for picture and caption.
enum class ItaLevel {
  kUnimodal,   ///< of the two encoders, by the projections of the model's own contrast
  kMultimodal  ///< of the joint fusion layers, where each has seen its partner
};

struct ItaOptions : AlignmentOptions {
  ItaLevel level = ItaLevel::kUnimodal;

  void describe(Visitor& v);
  void check(const ModelOptions& model) const override;
  std::string note() const override;
};

/// "ita". Its temperature is the model's own. level = multimodal registers "ita_image_proj" and "ita_text_proj", from
/// the words' width to E.
ObjectiveKind ita_kind();

}  // namespace vicha
