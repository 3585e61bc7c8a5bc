// BERT's head over the vocabulary: what masked words, and generated answers, are read with.
// M rows, D width, V vocabulary.
#pragma once

#include <string>

#include "models/bert.h"

namespace vicha {

class VocabularyHead {
 public:
  /// Registers "<prefix>cls.predictions.…" in the scope "mlm_head"; the output map is `bert`'s word embedding, which
  /// must be registered under the same prefix.
  VocabularyHead(ParameterStore& store, const std::string& prefix, const Bert& bert);

  /// (M, D) -> (M, V), fp32.
  at::Tensor operator()(const at::Tensor& rows_MD) const;

 private:
  Linear transform_;
  LayerNorm transform_norm_;
  at::Tensor word_, bias_;
};

}  // namespace vicha
