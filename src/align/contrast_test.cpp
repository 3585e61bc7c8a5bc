// The blocked contrast against the plain losses over whole matrices, written out once more here.
#include "align/contrast.h"

#include <ATen/ATen.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "distributed/thread_group_test_support.h"
#include "nn/norm.h"
#include "nn/precision.h"
#include "objectives/itc.h"

namespace vicha {
namespace {

at::Tensor same(const at::Tensor& groups) { return groups.unsqueeze(1).eq(groups.unsqueeze(0)); }

/// What the header says, in one line each; any type.
at::Tensor plain_info_nce(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale,
                          const at::Tensor& groups) {
  const at::Tensor s = at::mm(image, text.t()) * scale, target = same(groups).to(s.scalar_type());
  const auto direction = [&](const at::Tensor& sim) {
    return -(target / target.sum(1, true) * sim.log_softmax(1)).sum(1).mean();
  };
  return (direction(s) + direction(s.t())) / 2;
}
at::Tensor plain_sigmoid(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale,
                         const at::Tensor& bias, const at::Tensor& groups) {
  const at::Tensor logit = at::mm(image, text.t()) * scale + bias, sign = same(groups).to(logit.scalar_type()) * 2 - 1;
  return -at::log_sigmoid(sign * logit).sum() / image.size(0);
}

struct Problem {
  at::Tensor image, text, scale, bias, groups;
  std::vector<at::Tensor> leaves() const { return {image, text, scale, bias}; }
};

/// `groups` of about that many pairs; 0: each pair alone.
Problem problem(std::int64_t b, std::int64_t e, std::int64_t per_group, double scale, std::uint64_t seed = 1) {
  at::manual_seed(seed);
  const auto leaf = [](const at::Tensor& x) { return x.detach().clone().set_requires_grad(true); };
  Problem p;
  p.text = leaf(unit_rows(at::randn({b, e})));
  p.image = leaf(unit_rows(p.text.detach() + 0.5 * at::randn({b, e})));  // so that some are found and some are not
  p.scale = leaf(at::full({1}, scale));
  p.bias = leaf(at::full({1}, -0.3 * scale));
  p.groups =
      per_group == 0 ? at::randperm(b, at::kLong) * 1000003 : at::randint(0, b / per_group + 1, {b}, at::kLong) - 5;
  return p;
}

/// Differences may be `tolerance` times the numbers' size, or `least` where that is greater: sums that cancel are as
/// inexact as what went into them.
void expect_close(const at::Tensor& value, const at::Tensor& expected, double tolerance, double least,
                  const std::string& what) {
  ASSERT_EQ(value.sizes(), expected.sizes()) << what;
  const double difference = (value.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>(),
               size = expected.abs().max().item<double>();
  EXPECT_LE(difference, tolerance * std::max(size, least)) << what << " of size " << size;
}

constexpr std::array<const char*, 4> kNames = {"image", "text", "scale", "bias"};

/// Loss and gradients of both, in fp64 for the plain one.
void compare(bool sigmoid, const Problem& p, const at::Tensor& groups, const ContrastTiles& tiles, double tolerance) {
  Problem exact = p;
  for (at::Tensor* t : {&exact.image, &exact.text, &exact.scale, &exact.bias}) {
    *t = t->detach().to(at::kDouble).set_requires_grad(true);
  }
  const at::Tensor expected = sigmoid ? plain_sigmoid(exact.image, exact.text, exact.scale, exact.bias, p.groups)
                                      : plain_info_nce(exact.image, exact.text, exact.scale, p.groups);
  const ContrastResult result = sigmoid
                                    ? sigmoid_contrast(p.image, p.text, p.scale, p.bias, groups, Group::alone(), tiles)
                                    : info_nce(p.image, p.text, p.scale, groups, Group::alone(), tiles);
  const double scale = p.scale.item<double>(), b = static_cast<double>(p.image.size(0));
  expect_close(result.loss, expected, tolerance, 1.0, "loss");
  // Three times the loss, so that what comes from above counts.
  const std::size_t count = sigmoid ? 4 : 3;
  const auto first = [&](std::vector<at::Tensor> all) { return all.resize(count), all; };
  const auto wanted = torch::autograd::grad({expected * 3.0}, first(exact.leaves()));
  const auto found = torch::autograd::grad({result.loss * 3.0}, first(p.leaves()));
  for (std::size_t i = 0; i < count; ++i) {
    expect_close(found[i], wanted[i], tolerance, i < 2 ? scale / b : 1.0, kNames[i]);
  }
  const at::Tensor s = at::mm(p.image, p.text.t()).detach(), belong = same(p.groups);
  const auto accuracy = [&](const at::Tensor& sim) {
    const at::Tensor best = sim.argmax(1, true);
    return belong.gather(1, best).to(at::kFloat).mean();
  };
  expect_close(result.image_accuracy, accuracy(s), 1e-6, 1.0, "image accuracy");
  expect_close(result.text_accuracy, accuracy(s.t()), 1e-6, 1.0, "text accuracy");
}

class Contrast : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Losses, Contrast, testing::Bool(),
                         [](const auto& info) { return info.param ? "Sigmoid" : "InfoNce"; });

TEST_P(Contrast, EqualsThePlainLossAndItsGradients) {
  for (const std::int64_t b : {1, 2, 37, 64, 129, 203}) {
    for (const std::int64_t per_group : {0, 1, 4, 400}) {
      for (const double scale : {1.0, 14.3, 100.0}) {
        SCOPED_TRACE(testing::Message() << b << " pairs, " << per_group << " a group, scale " << scale);
        const Problem p = problem(b, 19, per_group, scale);
        const double tolerance = 2e-5 + 1e-6 * scale;  // of similarities that are so large
        compare(GetParam(), p, p.groups, {}, tolerance);
        for (const std::int64_t side : {1, 7, 16, 50, 64, 128, 4096}) {
          if (b > 30 * side) continue;
          for (const std::int64_t kept : {0, 1 << 20}) {
            SCOPED_TRACE(testing::Message() << "tiles of " << side << ", kept " << kept);
            compare(GetParam(), p, p.groups, {.side = side, .kept = kept}, tolerance);
          }
        }
      }
    }
  }
}

TEST_P(Contrast, WithoutGroupsEachPairStandsAlone) {
  Problem p = problem(70, 8, 0, 20.0);
  p.groups = at::arange(70, at::kLong);
  compare(GetParam(), p, {}, {.side = 32}, 2e-5);
}

TEST_P(Contrast, ByLibTorchsOperationsAsOffTheHost) {
  for (const double scale : {1.0, 30.0}) {
    const Problem p = problem(75, 11, 3, scale);
    compare(GetParam(), p, p.groups, {.side = 32, .kept = 0, .own_kernels = false}, 1e-4);
  }
}

/// Row after row far from all others: a sum of exponentials with one reference for all would be 0 for most.
TEST_P(Contrast, StaysExactWhereSimilaritiesAreFarApart) {
  Problem p = problem(60, 8, 3, 300.0);
  const at::NoGradGuard no_grad;
  p.image.slice(0, 0, 30).neg_();
  const at::AutoGradMode again(true);
  compare(GetParam(), p, p.groups, {.side = 16, .kept = 0}, 3e-4);
}

/// Differences of the loss in the direction of each number, by the plain loss in fp64 and this one's gradient.
TEST_P(Contrast, FiniteDifferences) {
  const bool sigmoid = GetParam();
  const Problem p = problem(7, 5, 2, 6.0);
  const auto plain = [&](const std::vector<at::Tensor>& x) {
    return (sigmoid ? plain_sigmoid(x[0], x[1], x[2], x[3], p.groups) : plain_info_nce(x[0], x[1], x[2], p.groups))
        .item<double>();
  };
  const ContrastTiles tiles{.side = 3, .kept = 0};
  const ContrastResult result =
      sigmoid ? sigmoid_contrast(p.image, p.text, p.scale, p.bias, p.groups, Group::alone(), tiles)
              : info_nce(p.image, p.text, p.scale, p.groups, Group::alone(), tiles);
  torch::autograd::backward({result.loss});
  std::vector<at::Tensor> x;
  for (const at::Tensor& leaf : p.leaves()) x.push_back(leaf.detach().to(at::kDouble));
  for (std::size_t i = 0; i < (sigmoid ? 4 : 3); ++i) {
    for (std::int64_t k = 0; k < x[i].numel(); ++k) {
      double& number = x[i].data_ptr<double>()[k];
      const double before = number, step = 1e-5;
      number = before + step;
      const double up = plain(x);
      number = before - step;
      const double down = plain(x);
      number = before;
      EXPECT_NEAR(p.leaves()[i].grad().view({-1})[k].item<double>(), (up - down) / (2 * step), 2e-5) << kNames[i] << k;
    }
  }
}

TEST(ContrastInfoNce, IsWhatPretrainingCallsItc) {
  const Problem p = problem(33, 16, 3, 10.0);
  const at::Tensor sim = at::mm(p.image, p.text.t()) * p.scale;
  const at::Tensor itc = itc_loss(sim, sim.t(), same(p.groups), {}, {}, 0.0);
  expect_close(info_nce(p.image, p.text, p.scale, p.groups).loss, itc, 1e-5, 1.0, "loss");
}

TEST_P(Contrast, WithoutGradientTheLossIsTheSame) {
  const Problem p = problem(50, 8, 2, 12.0);
  const auto loss = [&] {
    return (GetParam() ? sigmoid_contrast(p.image, p.text, p.scale, p.bias, p.groups, Group::alone(), {.side = 16})
                       : info_nce(p.image, p.text, p.scale, p.groups, Group::alone(), {.side = 16}))
        .loss;
  };
  const at::Tensor with = loss();
  const at::NoGradGuard no_grad;
  const at::Tensor without = loss();
  EXPECT_FALSE(without.requires_grad());
  EXPECT_TRUE(without.equal(with));
}

/// In bf16 similarities, and with them the loss, stay as they are; gradients are rounded.
TEST_P(Contrast, Bf16RoundsGradientsOnly) {
  const Problem p = problem(128, 32, 2, 20.0);
  const auto run = [&](bool bf16) {
    const Bf16Scope scope(bf16);
    return GetParam() ? sigmoid_contrast(p.image, p.text, p.scale, p.bias, p.groups)
                      : info_nce(p.image, p.text, p.scale, p.groups);
  };
  const ContrastResult full = run(false), half = run(true);
  EXPECT_TRUE(full.loss.equal(half.loss));
  const auto exact = torch::autograd::grad({full.loss}, {p.image, p.text}),
             rounded = torch::autograd::grad({half.loss}, {p.image, p.text});
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_FALSE(rounded[i].equal(exact[i]));
    EXPECT_LT((rounded[i] - exact[i]).norm().item<double>(), 0.01 * exact[i].norm().item<double>());
  }
}

/// Several ranks' pairs contrast as one batch, and the mean of the ranks' gradients is that of the batch.
TEST_P(Contrast, RanksLearnWhatOneLearnsFromTheJoinedBatch) {
  const Problem p = problem(36, 8, 3, 15.0);
  const auto run = [&](const Problem& q, const Group& group) {
    const ContrastTiles tiles{.side = 16};
    return GetParam() ? sigmoid_contrast(q.image, q.text, q.scale, q.bias, q.groups, group, tiles)
                      : info_nce(q.image, q.text, q.scale, q.groups, group, tiles);
  };
  const ContrastResult whole = run(p, Group::alone());
  torch::autograd::backward({whole.loss});
  std::array<Problem, 3> parts;
  const auto errors = run_ranks(3, [&](const Group& group) {
    Problem& q = parts[static_cast<std::size_t>(group.rank())];
    const auto part = [&](const at::Tensor& x) {
      return x.detach().slice(0, 12 * group.rank(), 12 * group.rank() + 12);
    };
    q = {part(p.image).clone().set_requires_grad(true), part(p.text).clone().set_requires_grad(true),
         p.scale.detach().clone().set_requires_grad(true), p.bias.detach().clone().set_requires_grad(true),
         part(p.groups)};
    const ContrastResult mine = run(q, group);
    EXPECT_TRUE(mine.loss.equal(whole.loss));
    EXPECT_TRUE(mine.image_accuracy.equal(whole.image_accuracy));
    torch::autograd::backward({mine.loss});
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
  std::vector<at::Tensor> image, text;
  for (const Problem& q : parts) {
    image.push_back(q.image.grad() / 3);
    text.push_back(q.text.grad() / 3);
    expect_close(q.scale.grad(), p.scale.grad(), 1e-5, 0.01, "scale");
    if (GetParam()) expect_close(q.bias.grad(), p.bias.grad(), 1e-5, 0.01, "bias");
  }
  expect_close(at::cat(image), p.image.grad(), 1e-5, 0.01, "image");
  expect_close(at::cat(text), p.text.grad(), 1e-5, 0.01, "text");
}

/// The most bytes that tensors took at one time while it lived.
class MemoryWatch : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, std::int64_t size, std::size_t, std::size_t, c10::Device) override {
    live_ += size;
    most = std::max(most, live_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  std::int64_t most = 0;

 private:
  std::int64_t live_ = 0;
};

TEST_P(Contrast, MemoryGrowsWithTheBatchAndNotWithItsSquare) {
  const auto most_bytes = [&](std::int64_t b) {
    const Problem p = problem(b, 16, 2, 20.0);
    const auto watch = std::make_shared<MemoryWatch>();
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, watch);
    const ContrastTiles tiles{.side = 256, .kept = 0};
    const ContrastResult result =
        GetParam() ? sigmoid_contrast(p.image, p.text, p.scale, p.bias, p.groups, Group::alone(), tiles)
                   : info_nce(p.image, p.text, p.scale, p.groups, Group::alone(), tiles);
    torch::autograd::backward({result.loss});
    return watch->most;
  };
  const std::int64_t small = most_bytes(2048), large = most_bytes(8192);
  EXPECT_GT(small, 256 * 256 * 4);  // the watch sees something
  EXPECT_LT(large, 4 * small);      // the matrix of 8192 x 8192 would be 16 times that of 2048 x 2048
  EXPECT_LT(large, 12 << 20);       // and have 256 MiB
}

TEST(ContrastLabels, AreEqualWhereIdsAre) {
  const at::Tensor ids = at::tensor(std::vector<std::int64_t>{7, -3, 7, std::int64_t{1} << 40, 0, -3, 7}, at::kLong);
  const at::Tensor labels = group_labels(ids);
  EXPECT_TRUE(same(labels).equal(same(ids)));
  EXPECT_TRUE(labels.ge(0).all().item<bool>() && labels.lt(7).all().item<bool>());
  EXPECT_EQ(group_labels(at::full({1}, 9, at::kLong)).item<std::int64_t>(), 0);
}

}  // namespace
}  // namespace vicha
