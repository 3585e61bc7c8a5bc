#include "nn/vit_block.h"

#include <ATen/ATen.h>

#include "nn/gelu.h"

namespace vicha {

LayerNorm add_layer_norm(ParameterStore& store, const std::string& prefix, std::int64_t width, double eps) {
  const at::Tensor weight = store.add(prefix + "weight", {width}, Init::kOnes);
  return {weight, store.add(prefix + "bias", {width}, Init::kZeros), eps};
}

Linear add_linear(ParameterStore& store, const std::string& prefix, std::int64_t inputs, std::int64_t outputs,
                  Init init) {
  const at::Tensor weight = store.add(prefix + "weight", {outputs, inputs}, init, inputs);
  const Init bias = init == Init::kLinearDefault ? Init::kLinearDefault : Init::kZeros;
  return {weight, store.add(prefix + "bias", {outputs}, bias, inputs)};
}

VitBlock::VitBlock(ParameterStore& store, const std::string& prefix, std::int64_t width, std::int64_t heads, double eps)
    : norm1(add_layer_norm(store, prefix + "norm1.", width, eps)),
      qkv(add_linear(store, prefix + "attn.qkv.", width, 3 * width, Init::kTruncatedNormal002)),
      proj(add_linear(store, prefix + "attn.proj.", width, width, Init::kTruncatedNormal002)),
      norm2(add_layer_norm(store, prefix + "norm2.", width, eps)),
      fc1(add_linear(store, prefix + "mlp.fc1.", width, 4 * width, Init::kTruncatedNormal002)),
      fc2(add_linear(store, prefix + "mlp.fc2.", 4 * width, width, Init::kTruncatedNormal002)),
      heads(heads) {}

ResidualNorm VitBlock::operator()(const at::Tensor& stream, const at::Tensor& normed, const SegmentsPtr& segments,
                                  const LayerNorm& next, AttentionWatch* watch) const {
  if (watch == nullptr) return finish(stream, self_attention(qkv(normed), heads, segments), next);
  const auto parts = qkv(normed).chunk(3, 1);
  return finish(stream, watch->attend(parts[0], parts[1], parts[2], heads, segments), next);
}

ResidualNorm VitBlock::at_rows(const at::Tensor& stream, const at::Tensor& normed, const at::Tensor& rows,
                               const SegmentsPtr& segments, const LayerNorm& next) const {
  const std::int64_t width = stream.size(1);
  const Linear ask{qkv.weight.narrow(0, 0, width), qkv.bias.narrow(0, 0, width)};
  const Linear answer{qkv.weight.narrow(0, width, 2 * width), qkv.bias.narrow(0, width, 2 * width)};
  const at::Tensor attended = cross_attention(ask(normed.index_select(0, rows)), answer(normed), heads, segments);
  return finish(stream.index_select(0, rows), attended, next);
}

ResidualNorm VitBlock::finish(const at::Tensor& stream, const at::Tensor& attended, const LayerNorm& next) const {
  const ResidualNorm middle = residual_layer_norm(stream, matmul_nt(attended, proj.weight), proj.bias, norm2);
  const auto activate = activation == Activation::kGelu ? bias_gelu : bias_quick_gelu_;
  const at::Tensor hidden = activate(matmul_nt(middle.out, fc1.weight), fc1.bias);
  return residual_layer_norm(middle.sum, matmul_nt(hidden, fc2.weight), fc2.bias, next);
}

}  // namespace vicha
