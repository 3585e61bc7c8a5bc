#include "models/clip_tower.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"

namespace vicha {
namespace {

VitBlock make_block(ParameterStore& store, const std::string& prefix, const ClipTowerOptions& o, Init weights) {
  VitBlock block;
  block.norm1 = add_layer_norm(store, prefix + "ln_1.", o.width, o.eps);
  block.qkv.weight = store.add(prefix + "attn.in_proj_weight", {3 * o.width, o.width}, weights, o.width);
  block.qkv.bias = store.add(prefix + "attn.in_proj_bias", {3 * o.width}, Init::kZeros);
  block.proj = add_linear(store, prefix + "attn.out_proj.", o.width, o.width, weights);
  block.norm2 = add_layer_norm(store, prefix + "ln_2.", o.width, o.eps);
  block.fc1 = add_linear(store, prefix + "mlp.c_fc.", o.width, o.inner, weights);
  block.fc2 = add_linear(store, prefix + "mlp.c_proj.", o.inner, o.width, weights);
  block.heads = o.heads;
  block.activation = o.activation;
  return block;
}

at::Tensor plain_attention(const VitBlock& block, const at::Tensor& normed_BSD, bool causal) {
  const std::int64_t batch = normed_BSD.size(0), length = normed_BSD.size(1), width = normed_BSD.size(2),
                     head = width / block.heads;
  const at::Tensor qkv = at::linear(normed_BSD, block.qkv.weight, block.qkv.bias)
                             .view({batch, length, 3, block.heads, head})
                             .permute({2, 0, 3, 1, 4});
  at::Tensor scores = at::matmul(qkv[0] / std::sqrt(static_cast<double>(head)), qkv[1].transpose(-1, -2));
  if (causal) {
    const at::Tensor later = at::ones({length, length}, scores.options().dtype(at::kBool)).triu(1);
    scores = scores.masked_fill(later, -INFINITY);
  }
  const at::Tensor out = at::matmul(scores.softmax(-1), qkv[2]).transpose(1, 2).reshape({batch, length, width});
  return at::linear(out, block.proj.weight, block.proj.bias);
}

at::Tensor plain_norm(const LayerNorm& norm, const at::Tensor& x) {
  return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, norm.eps);
}

at::Tensor plain_activation(const VitBlock& block, const at::Tensor& x) {
  return block.activation == Activation::kGelu ? at::gelu(x) : x * at::sigmoid(1.702 * x);
}

}  // namespace

ClipTower::ClipTower(ParameterStore& store, const std::string& prefix, const ClipTowerOptions& options, Init weights) {
  for (std::int64_t i = 0; i < options.depth; ++i) {
    blocks_.push_back(make_block(store, prefix + "resblocks." + std::to_string(i) + ".", options, weights));
  }
}

at::Tensor ClipTower::pooled(const at::Tensor& stream_TD, const SegmentsPtr& segments,
                             const std::vector<std::int64_t>& rows, const LayerNorm& norm) const {
  VICHA_ASSERT(rows.size() == segments->list.size());
  const auto ask = std::make_shared<Segments>();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Segment& s = segments->list[i];
    VICHA_ASSERT(s.q_len == s.k_len && rows[i] >= s.q_begin && rows[i] < s.q_begin + s.q_len);
    VICHA_ASSERT(!segments->causal || rows[i] == s.q_begin + s.q_len - 1);
    ask->list.push_back({static_cast<std::int64_t>(i), 1, s.k_begin, s.k_len});
  }
  ask->q_rows = static_cast<std::int64_t>(rows.size());
  ask->k_rows = segments->k_rows;
  ResidualNorm x{stream_TD, blocks_.front().norm1(stream_TD)};
  for (std::size_t i = 0; i + 1 < blocks_.size(); ++i) {
    x = blocks_[i](x.sum, x.out, segments, blocks_[i + 1].norm1);
  }
  const at::Tensor at_rows = at::tensor(rows, at::kLong).to(stream_TD.device());
  return blocks_.back().at_rows(x.sum, x.out, at_rows, ask, norm).out;
}

ResidualNorm ClipTower::all(const at::Tensor& stream_TD, const SegmentsPtr& segments, const LayerNorm& norm) const {
  ResidualNorm x{stream_TD, blocks_.front().norm1(stream_TD)};
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i](x.sum, x.out, segments, i + 1 < blocks_.size() ? blocks_[i + 1].norm1 : norm);
  }
  return x;
}

std::vector<at::Tensor> ClipTower::plain(const at::Tensor& stream_BSD, bool causal) const {
  std::vector<at::Tensor> states = {stream_BSD};
  for (const VitBlock& block : blocks_) {
    at::Tensor x = states.back();
    x = x + plain_attention(block, plain_norm(block.norm1, x), causal);
    const at::Tensor hidden =
        plain_activation(block, at::linear(plain_norm(block.norm2, x), block.fc1.weight, block.fc1.bias));
    states.push_back(x + at::linear(hidden, block.fc2.weight, block.fc2.bias));
  }
  return states;
}

}  // namespace vicha
