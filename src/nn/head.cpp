#include "nn/head.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include "base/error.h"
#include "nn/gelu.h"

namespace vicha {
namespace {

Linear add_zero_bias(ParameterStore& store, const std::string& name, std::int64_t inputs, std::int64_t outputs,
                     Init init) {
  return {store.add(name + ".weight", {outputs, inputs}, init, inputs),
          store.add(name + ".bias", {outputs}, Init::kZeros)};
}

}  // namespace

Standardisation::Standardisation(ParameterStore& store, const std::string& name, std::int64_t inputs)
    : mean(store.add_buffer(name + ".mean", at::zeros({inputs}))),
      deviation(store.add_buffer(name + ".deviation", at::ones({inputs}))) {}

void Standardisation::set(const at::Tensor& mean_I, const at::Tensor& deviation_I) const {
  VICHA_ASSERT(mean_I.sizes() == mean.sizes() && deviation_I.sizes() == deviation.sizes());
  if (!deviation_I.gt(0).all().item<bool>()) throw UsageError("a deviation of features must be above 0");
  const at::NoGradGuard no_grad;
  mean.copy_(mean_I);
  deviation.copy_(deviation_I);
}

at::Tensor Standardisation::operator()(const at::Tensor& x_BI) const {
  return (x_BI.to(at::kFloat) - mean).div_(deviation);
}

Head::Head(ParameterStore& store, const std::string& name, std::int64_t inputs, std::int64_t embed_dim,
           const HeadOptions& options)
    : embed_(add_zero_bias(store, name + ".embed", inputs, embed_dim, Init::kLinearDefault)) {
  const std::int64_t inner = embed_dim * options.width_factor;
  for (std::int64_t i = 0; i < options.blocks; ++i) {
    const std::string prefix = fmt::format("{}.blocks.{}.", name, i);
    Block& block = blocks_.emplace_back();
    block.norm.weight = store.add(prefix + "norm.weight", {embed_dim}, Init::kOnes);
    block.norm.bias = store.add(prefix + "norm.bias", {embed_dim}, Init::kZeros);
    block.fc1 = add_zero_bias(store, prefix + "fc1", embed_dim, inner, Init::kLinearDefault);
    block.fc2 = add_zero_bias(store, prefix + "fc2", inner, embed_dim, Init::kZeros);
  }
}

at::Tensor Head::operator()(const at::Tensor& x_BI, const Dropout& dropout) const {
  at::Tensor stream = embed_(x_BI).to(at::kFloat);
  if (blocks_.empty()) return unit_rows(stream);
  at::Tensor normed = blocks_.front().norm(stream);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    const at::Tensor inner = bias_gelu(matmul_nt(normed, block.fc1.weight), block.fc1.bias);
    // Of the last block only the sum is read: the norm that comes with it gets no gradient from here.
    const LayerNorm& next = i + 1 < blocks_.size() ? blocks_[i + 1].norm : block.norm;
    const ResidualNorm both =
        residual_layer_norm(stream, matmul_nt(inner, block.fc2.weight), block.fc2.bias, next, dropout.draw());
    stream = both.sum;
    normed = both.out;
  }
  return unit_rows(stream);
}

}  // namespace vicha
