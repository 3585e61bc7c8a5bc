// The plain path of a picture tower: each state by LibTorch's own operations, as the definitions say.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "towers/vit_net.h"

namespace vicha {
namespace {

at::Tensor plain_norm(const LayerNorm& norm, const at::Tensor& x) {
  return at::layer_norm(x, {x.size(-1)}, norm.weight, norm.bias, norm.eps);
}

/// Queries (B, Q, D) over keys and values (B, K, D) each.
at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t heads) {
  const std::int64_t batch = q.size(0), width = q.size(2), head = width / heads;
  const auto split = [&](const at::Tensor& x) { return x.reshape({batch, -1, heads, head}).transpose(1, 2); };
  const at::Tensor scores = at::matmul(split(q), split(k).transpose(-1, -2)) / std::sqrt(static_cast<double>(head));
  return at::matmul(scores.softmax(-1), split(v)).transpose(1, 2).reshape({batch, -1, width});
}

at::Tensor plain_mlp(const TowerBlock& block, const at::Tensor& x, TowerActivation activation, bool gated) {
  at::Tensor hidden = at::linear(x, block.fc1.weight, block.fc1.bias);
  if (gated) {
    const auto halves = hidden.chunk(2, -1);
    hidden = at::silu(halves[0]) * halves[1];
  } else if (activation == TowerActivation::kQuickGelu) {
    hidden = hidden * at::sigmoid(1.702 * hidden);
  } else {
    hidden = at::gelu(hidden, activation == TowerActivation::kGeluTanh ? "tanh" : "none");
  }
  return at::linear(hidden, block.fc2.weight, block.fc2.bias);
}

}  // namespace

at::Tensor VitNet::plain_attended_pool(const at::Tensor& patches_BND) const {
  const auto weights = pool_.qkv.weight.chunk(3), biases = pool_.qkv.bias.chunk(3);
  const at::Tensor query = at::linear(probe_, weights[0], biases[0]).expand({patches_BND.size(0), 1, options_.width});
  const at::Tensor attended = plain_attention(query, at::linear(patches_BND, weights[1], biases[1]),
                                              at::linear(patches_BND, weights[2], biases[2]), options_.heads);
  const at::Tensor x = at::linear(attended, pool_.proj.weight, pool_.proj.bias);
  return (x + plain_mlp(pool_, plain_norm(pool_.norm2, x), options_.activation, false)).select(1, 0);
}

VitNet::States VitNet::states(const at::Tensor& pixels) const {
  const at::NoGradGuard no_grad;
  const Grid grid = grid_of(pixels);
  const std::int64_t batch = pixels.size(0), width = options_.width, prefix = options_.prefix;
  at::Tensor x = at::conv2d(pixels.to(device(), at::kFloat), patch_kernel_, patch_bias_, options_.patch);
  x = x.flatten(2).transpose(1, 2);
  if (prefix > 0) x = at::cat({prefix_tokens_.expand({batch, prefix, width}), x}, 1);
  x = x + positions(grid);
  if (registers_.defined()) {
    x = at::cat({x.slice(1, 0, prefix), registers_.expand({batch, options_.registers, width}), x.slice(1, prefix)}, 1);
  }
  if (options_.norm_before) x = plain_norm(norm_before_, x);
  States states;
  states.hidden.push_back(x);
  for (const TowerBlock& block : blocks_) {
    const auto qkv = at::linear(plain_norm(block.norm1, x), block.qkv.weight, block.qkv.bias).chunk(3, -1);
    x = x + at::linear(plain_attention(qkv[0], qkv[1], qkv[2], options_.heads), block.proj.weight, block.proj.bias);
    x = x + plain_mlp(block, plain_norm(block.norm2, x), options_.activation, options_.swiglu);
    states.hidden.push_back(x);
  }
  states.last = options_.norm_after ? plain_norm(norm_after_, x) : x;
  const at::Tensor first = states.last.slice(1, 0, prefix), map = states.last.slice(1, before_patches());
  switch (options_.pooling) {
    case TowerPooling::kClass:
      states.pooled = first.select(1, 0);
      break;
    case TowerPooling::kClassDense:
      states.pooled = at::tanh(at::linear(first.select(1, 0), pooler_.weight, pooler_.bias));
      break;
    case TowerPooling::kTokens:
      states.pooled = (first.select(1, 0) + first.select(1, 1)) / 2;
      break;
    case TowerPooling::kAverage:
      states.pooled = map.mean(at::IntArrayRef{1});
      if (options_.fc_norm) states.pooled = plain_norm(fc_norm_, states.pooled);
      break;
    case TowerPooling::kAttention:
      states.pooled = plain_attended_pool(map);
      break;
    case TowerPooling::kProjected:
      states.pooled = at::linear(first.select(1, 0), projection_);
      break;
  }
  return states;
}

}  // namespace vicha
