#include "nn/head.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "base/error.h"
#include "nn/precision.h"

namespace vicha {
namespace {

/// Every weight drawn anew, so that nothing is 0 or 1 by initialisation.
void randomise(ParameterStore& store) {
  const at::NoGradGuard no_grad;
  at::manual_seed(4);
  for (std::size_t i = 0; i < store.parameters().size(); ++i)
    store.value(i).copy_(at::randn_like(store.value(i)) * 0.3);
}

/// The header's formula in plain operations.
at::Tensor plain_head(const ParameterStore& store, const at::Tensor& x, std::int64_t blocks) {
  const auto value = [&](const std::string& name) { return store.parameter("h." + name).value; };
  at::Tensor stream = at::linear(x, value("embed.weight"), value("embed.bias"));
  for (std::int64_t i = 0; i < blocks; ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    const at::Tensor normed =
        at::layer_norm(stream, {stream.size(1)}, value(block + "norm.weight"), value(block + "norm.bias"), 1e-6);
    const at::Tensor inner = at::gelu(at::linear(normed, value(block + "fc1.weight"), value(block + "fc1.bias")));
    stream = stream + at::linear(inner, value(block + "fc2.weight"), value(block + "fc2.bias"));
  }
  return stream / stream.norm(2, {1}, true);
}

TEST(Head, EqualsPlainOperationsAndTheirGradients) {
  for (const std::int64_t blocks : {0, 1, 3}) {
    SCOPED_TRACE(blocks);
    ParameterStore store(1);
    const Head head(store, "h", 11, 24, {.blocks = blocks, .width_factor = 3, .dropout = 0.5});
    EXPECT_EQ(store.parameters().size(), static_cast<std::size_t>(2 + 6 * blocks));
    randomise(store);
    const at::Tensor x = at::randn({9, 11}), upstream = at::randn({9, 24});
    const auto gradients = [&](const at::Tensor& out) {
      torch::autograd::backward({(out * upstream).sum()});
      std::vector<at::Tensor> grads;
      for (std::size_t i = 0; i < store.parameters().size(); ++i) {
        grads.push_back(store.value(i).grad().clone());
        store.value(i).mutable_grad().reset();
      }
      return grads;
    };
    const at::Tensor out = head(x), plain = plain_head(store, x, blocks);
    EXPECT_TRUE(at::allclose(out, plain, 1e-5, 1e-6));
    const auto a = gradients(out), b = gradients(plain);
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(at::allclose(a[i], b[i], 1e-4, 1e-5)) << store.parameters()[i].name;
    }
  }
}

TEST(Head, GivesUnitRowsOfFp32InAnyPrecision) {
  ParameterStore store(1);
  const Head head(store, "h", 16, 32, {.blocks = 2});
  randomise(store);
  const at::Tensor x = at::randn({12, 16});
  const at::Tensor exact = head(x);
  for (const bool bf16 : {false, true}) {
    const Bf16Scope scope(bf16);
    const at::Tensor out = head(x);
    EXPECT_EQ(out.scalar_type(), at::kFloat);
    EXPECT_TRUE(at::allclose(out.norm(2, {1}), at::ones({12}), 1e-5));
    EXPECT_LT((out - exact).abs().max().item<double>(), bf16 ? 0.02 : 1e-7);
  }
}

TEST(Head, BlocksBeginAsTheIdentityAndDropoutFollowsTheDraws) {
  ParameterStore store(1);
  const Head with(store, "h", 16, 32, {.blocks = 2, .dropout = 0.5});
  const at::Tensor x = at::randn({12, 16});
  EXPECT_TRUE(at::allclose(with(x), plain_head(store, x, 0), 1e-5, 1e-6));
  randomise(store);
  const auto drawn = [&](std::uint64_t seed) {
    Rng rng(seed);
    return with(x, Dropout(0.5, &rng));
  };
  EXPECT_TRUE(drawn(1).equal(drawn(1)));
  EXPECT_FALSE(drawn(1).equal(drawn(2)));
  EXPECT_FALSE(drawn(1).equal(with(x)));
}

TEST(Standardisation, IsKeptWithTheWeights) {
  ParameterStore store(1);
  const Standardisation moments(store, "features", 3);
  const at::Tensor x = at::randn({5, 3});
  EXPECT_TRUE(moments(x).equal(x));
  moments.set(at::tensor({1.0f, 2.0f, 3.0f}), at::tensor({0.5f, 1.0f, 2.0f}));
  EXPECT_TRUE(at::allclose(moments(x.to(at::kHalf)), (x.to(at::kHalf).to(at::kFloat) - at::tensor({1.0f, 2.0f, 3.0f})) /
                                                         at::tensor({0.5f, 1.0f, 2.0f})));
  ASSERT_EQ(store.released().size(), 2u);
  EXPECT_EQ(store.released()[1].name, "features.deviation");
  EXPECT_EQ(store.view(store.released()[1])[2].item<float>(), 2.0f);
  EXPECT_THROW(moments.set(at::zeros({3}), at::zeros({3})), UsageError);
}

}  // namespace
}  // namespace vicha
