// BERT's head over the vocabulary: what masked words, and generated answers, are read with.
// M rows, D width, V vocabulary.
#pragma once

#include <string>

#include "models/bert.h"

namespace vicha {

class VocabularyHead {
 public:
  /// Registers "<prefix>cls.predictions.…"; the output map is the word embedding of `embeddings`, which must be
  /// registered as "<prefix>bert.embeddings.".
  VocabularyHead(ParameterStore& store, const std::string& prefix, const BertEmbeddings& embeddings);

  /// (M, D) -> (M, V), fp32.
  at::Tensor operator()(const at::Tensor& rows_MD) const;

 private:
  Linear transform_;
  LayerNorm transform_norm_;
  at::Tensor word_, bias_;
};

}  // namespace vicha
