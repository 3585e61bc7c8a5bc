// Heads that `vicha align` trained on the pooled features of frozen towers, inside a model that reads the patches and
// words of the same towers (model.heads, init.heads; method, section 2). The contrast then starts from what the heads
// know, and the projections of the class tokens add to it.
// B items, P numbers of a patch's features, T rows of texts, D_text width of their states, E common embedding.
#pragma once

#include <string>

#include "models/bert.h"
#include "models/model_options.h"
#include "nn/head.h"

namespace vicha {

class AlignedHeads {
 public:
  /// `suffix` "" or "_m". Registers "image_head", "text_head" and the buffers "image_features" and "text_features", all
  /// under the names that checkpoints of `vicha align` have, in the scopes "heads" and "aligned_heads".
  AlignedHeads(ParameterStore& store, const ModelOptions& options, const std::string& suffix);

  /// Mean features of pictures' patches (B, P) -> rows of length 1 (B, E).
  at::Tensor image(const at::Tensor& pooled_BP) const;
  /// States of texts (T, D_text) -> of each text's mean, [CLS] and [SEP] included and padding left out, rows of length
  /// 1 (B, E).
  at::Tensor text(const at::Tensor& states_TD, const PackedText& pack) const;

  /// The same of what pooled_text() gave (B, D_text) -> (B, E).
  at::Tensor text(const at::Tensor& pooled_BD) const;

  /// What the text head reads, before standardisation (B, D_text).
  at::Tensor pooled_text(const at::Tensor& states_TD, const PackedText& pack) const;
  const Standardisation& image_moments() const { return image_moments_; }
  const Standardisation& text_moments() const { return text_moments_; }

 private:
  bool normalise_text_;
  Standardisation image_moments_, text_moments_;
  Head image_, text_;
};

}  // namespace vicha
