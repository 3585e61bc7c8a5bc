#include "models/vocabulary_head.h"

#include <ATen/ATen.h>

#include "nn/gelu.h"
#include "nn/precision.h"
#include "nn/vit_block.h"

namespace vicha {

VocabularyHead::VocabularyHead(ParameterStore& store, const std::string& prefix, const BertEmbeddings& embeddings)
    : word_(embeddings.word) {
  const std::int64_t width = word_.size(1);
  const std::string head = prefix + "cls.predictions.";
  bias_ = store.add(head + "bias", {word_.size(0)}, Init::kZeros);
  transform_ = add_linear(store, head + "transform.dense.", width, width, Init::kNormal002);
  transform_norm_ = add_layer_norm(store, head + "transform.LayerNorm.", width, kBertEps);
  store.alias(head + "decoder.weight", prefix + "bert.embeddings.word_embeddings.weight");
  store.alias(head + "decoder.bias", head + "bias");
}

at::Tensor VocabularyHead::operator()(const at::Tensor& rows_MD) const {
  const at::Tensor hidden = bias_gelu(matmul_nt(rows_MD, transform_.weight), transform_.bias);
  return Linear{word_, bias_}(transform_norm_(hidden)).to(at::kFloat);
}

}  // namespace vicha
