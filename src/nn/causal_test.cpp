// Causal attention and the quick GELU: what CLIP's towers add to the operations of ops_test.cpp.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "nn/attention.h"
#include "nn/gelu.h"

namespace vicha {
namespace {

TEST(CausalAttention, EqualsTheMaskedFormForwardAndBackward) {
  const std::int64_t heads = 2, width = 8;
  // The third sequence is longer than a block of queries.
  const std::vector<std::int64_t> lengths = {5, 1, 131, 12};
  const auto segments = Segments::causal_packed(lengths);
  const at::Tensor qkv = at::randn({segments->q_rows, 3 * heads * width}).set_requires_grad(true);
  std::vector<at::Tensor> parts;
  std::int64_t begin = 0;
  for (const std::int64_t length : lengths) {
    const auto qkv_of = qkv.slice(0, begin, begin + length).view({length, 3, heads, width}).permute({1, 2, 0, 3});
    const at::Tensor hidden = at::ones({length, length}, at::kBool).tril().logical_not();
    const at::Tensor scores = at::matmul(qkv_of[0], qkv_of[1].transpose(1, 2)) / std::sqrt(8.0);
    const at::Tensor out = at::matmul(scores.masked_fill(hidden, -INFINITY).softmax(-1), qkv_of[2]);
    parts.push_back(out.transpose(0, 1).reshape({length, heads * width}));
    begin += length;
  }
  const at::Tensor plain = at::cat(parts), ours = self_attention(qkv, heads, segments);
  EXPECT_LT((ours - plain).abs().max().item<double>(), 2e-6);
  const auto chunks = qkv.chunk(3, 1);
  const at::Tensor reference = attention_reference(chunks[0], chunks[1], chunks[2], heads, segments);
  EXPECT_LT((reference - plain).abs().max().item<double>(), 2e-6);
  const at::Tensor weight = at::randn(plain.sizes());
  const auto gradient = [&](const at::Tensor& out) { return torch::autograd::grad({(out * weight).sum()}, {qkv})[0]; };
  EXPECT_LT((gradient(ours) - gradient(plain)).abs().max().item<double>(), 2e-5);
}

TEST(QuickGelu, EqualsItsFormula) {
  const at::Tensor x = at::linspace(-30, 30, 4001).view({1, -1}), bias = at::full({4001}, 0.25f);
  const at::Tensor v = x.to(at::kDouble) + 0.25, plain = v * at::sigmoid(1.702 * v);
  const at::Tensor place = x.clone(), out = bias_quick_gelu_(place, bias);
  EXPECT_LT((out - plain).abs().max().item<double>(), 2e-6);
  EXPECT_TRUE(out.is_same(place));
  const at::Tensor half = bias_quick_gelu_(x.to(at::kBFloat16), bias);
  EXPECT_EQ(half.scalar_type(), at::kBFloat16);
  EXPECT_LT((half.to(at::kDouble) - plain).abs().max().item<double>(), 0.2);
}

}  // namespace
}  // namespace vicha
