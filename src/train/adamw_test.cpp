#include "train/adamw.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace vicha {
namespace {

const OptimizerOptions kOptions{.lr = 1e-3, .weight_decay = 0.05, .clip_norm = 0.5};

/// Sizes on both sides of the blocks' borders, a 0-D parameter, decayed and undecayed ones, two learning rates.
ParameterStore make_store() {
  ParameterStore store(7);
  store.add("a.weight", {33, 1000}, Init::kNormal002);
  {
    const ParameterStore::Scope scope(store, "fast");
    store.add("a.bias", {1000}, Init::kNormal002);
  }
  store.add("temperature", {}, Init::kOnes);
  {
    const ParameterStore::Scope scope(store, "fast");
    store.add("b.weight", {128, 256}, Init::kNormal002);
  }
  store.add("tiny.weight", {1, 3}, Init::kNormal002);
  store.add("unused.weight", {5, 5}, Init::kOnes);
  store.set_lr_scale("fast", 5.0);
  return store;
}

void draw_gradients(const ParameterStore& store, std::uint64_t seed) {
  Rng rng(seed);
  for (const Parameter& p : store.parameters()) {
    if (p.name == "unused.weight") continue;
    at::Tensor g = at::empty_like(p.value.detach());
    for (std::int64_t i = 0; i < g.numel(); ++i) g.data_ptr<float>()[i] = static_cast<float>(0.1 * rng.normal());
    p.value.mutable_grad() = g;
  }
}

double norm_in_double(const ParameterStore& store) {
  double sum = 0.0;
  for (const Parameter& p : store.parameters()) {
    if (p.value.grad().defined()) sum += p.value.grad().to(at::kDouble).square().sum().item<double>();
  }
  return std::sqrt(sum);
}

/// The textbook update, tensor by tensor, in fp64.
class PlainAdamW {
 public:
  explicit PlainAdamW(const ParameterStore& store) {
    for (const Parameter& p : store.parameters()) {
      values.push_back(p.value.detach().to(at::kDouble, false, true));
      means.push_back(at::zeros_like(values.back()));
      squares.push_back(at::zeros_like(values.back()));
    }
  }
  void step(const ParameterStore& store, double lr, double scale) {
    ++t;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Parameter& p = store.parameters()[i];
      if (!p.value.grad().defined()) continue;
      const at::Tensor g = p.value.grad().to(at::kDouble) * scale;
      const double own_lr = lr * p.lr_scale;
      if (p.decayed) values[i] *= 1.0 - own_lr * kOptions.weight_decay;
      means[i] = kOptions.beta1 * means[i] + (1.0 - kOptions.beta1) * g;
      squares[i] = kOptions.beta2 * squares[i] + (1.0 - kOptions.beta2) * g * g;
      const at::Tensor mean = means[i] / (1.0 - std::pow(kOptions.beta1, t));
      const at::Tensor square = squares[i] / (1.0 - std::pow(kOptions.beta2, t));
      values[i] -= own_lr * mean / (square.sqrt() + kOptions.eps);
    }
  }
  std::vector<at::Tensor> values, means, squares;
  int t = 0;
};

void expect_close(const ParameterStore& store, const std::vector<at::Tensor>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Parameter& p = store.parameters()[i];
    const at::Tensor difference = (p.value.detach().to(at::kDouble) - expected[i]).abs();
    const at::Tensor allowed = 1e-6 * expected[i].abs() + 1e-7;
    EXPECT_TRUE((difference <= allowed).all().item<bool>()) << p.name << ' ' << difference.max().item<double>();
  }
}

TEST(AdamW, EqualsThePlainUpdate) {
  for (const AdamWKernels kernels : {AdamWKernels::kByDevice, AdamWKernels::kLibTorch}) {
    for (const bool clip : {false, true}) {
      ParameterStore store = make_store();
      AdamW optimizer(store, kOptions, kernels);
      PlainAdamW plain(store);
      for (int step = 0; step < 5; ++step) {
        draw_gradients(store, 100 + step);
        const double lr = kOptions.lr / (1 + step), norm = norm_in_double(store);
        ASSERT_GT(norm, 2 * kOptions.clip_norm);  // so that clipping does something
        plain.step(store, lr, clip ? kOptions.clip_norm / (norm + 1e-6) : 1.0);
        optimizer.step(lr, clip ? optimizer.gradient_norm() : at::Tensor());
      }
      expect_close(store, plain.values);
    }
  }
}

TEST(AdamW, ParametersWithoutGradientAreLeftAlone) {
  ParameterStore store = make_store();
  AdamW optimizer(store, kOptions);
  draw_gradients(store, 1);
  optimizer.step(1e-3);
  EXPECT_TRUE(store.parameter("unused.weight").value.detach().equal(at::ones({5, 5})));
  StateDict state;
  optimizer.save_state(state);
  EXPECT_FALSE(state.contains("step.unused.weight"));
  EXPECT_EQ(state.at("step.temperature").item<std::int64_t>(), 1);
  optimizer.clear_gradients();
  EXPECT_FALSE(store.parameter("a.bias").value.grad().defined());
  const at::Tensor before = store.parameter("b.weight").value.detach().clone();
  optimizer.step(1e-3);  // no gradient anywhere: neither decay nor count
  EXPECT_TRUE(before.equal(store.parameter("b.weight").value.detach()));
}

TEST(AdamW, SmallGradientsAreNotClipped) {
  ParameterStore clipped = make_store(), free = make_store();
  const OptimizerOptions roomy{.clip_norm = 1e6};
  AdamW a(clipped, roomy), b(free, roomy);
  draw_gradients(clipped, 3);
  draw_gradients(free, 3);
  a.step(1e-3, a.gradient_norm());
  b.step(1e-3);
  for (std::size_t i = 0; i < clipped.parameters().size(); ++i) {
    EXPECT_TRUE(clipped.parameters()[i].value.equal(free.parameters()[i].value));
  }
}

TEST(AdamW, SameBitsWhateverTheNumberOfThreads) {
  ParameterStore stores[] = {make_store(), make_store()};
  const int threads = at::get_num_threads();
  for (int run = 0; run < 2; ++run) {
    at::set_num_threads(run == 0 ? 1 : 3);
    AdamW optimizer(stores[run], kOptions);
    draw_gradients(stores[run], 5);
    const at::Tensor norm = optimizer.gradient_norm();
    EXPECT_NEAR(norm.item<double>(), norm_in_double(stores[run]), 1e-9);
    optimizer.step(1e-3, norm);
  }
  at::set_num_threads(threads);
  for (std::size_t i = 0; i < stores[0].parameters().size(); ++i) {
    EXPECT_TRUE(stores[0].parameters()[i].value.equal(stores[1].parameters()[i].value));
  }
}

TEST(AdamW, SavedAndLoadedGoesOnWithTheSameBits) {
  ParameterStore store = make_store(), other = make_store();
  AdamW optimizer(store, kOptions);
  for (int step = 0; step < 3; ++step) {
    draw_gradients(store, step);
    optimizer.step(1e-3);
  }
  StateDict state;
  optimizer.save_state(state);
  for (std::size_t i = 0; i < store.parameters().size(); ++i) {
    other.parameters()[i].value.detach().copy_(store.parameters()[i].value.detach());
  }
  AdamW resumed(other, kOptions);
  resumed.load_state(state, "optimizer.safetensors");
  for (const auto& [s, o] : {std::pair{&store, &optimizer}, std::pair{&other, &resumed}}) {
    draw_gradients(*s, 9);
    o->step(1e-3);
  }
  for (std::size_t i = 0; i < store.parameters().size(); ++i) {
    EXPECT_TRUE(store.parameters()[i].value.equal(other.parameters()[i].value));
  }
}

TEST(AdamW, StatesOfOtherModelsAreRefused) {
  ParameterStore store = make_store();
  AdamW optimizer(store, kOptions);
  draw_gradients(store, 1);
  optimizer.step(1e-3);
  StateDict good;
  optimizer.save_state(good);
  const auto refused = [&](const StateDict& state, std::string_view name) {
    try {
      optimizer.load_state(state, "optimizer.safetensors");
      ADD_FAILURE() << "accepted";
    } catch (const DataError& e) {
      EXPECT_NE(std::string_view(e.what()).find("optimizer.safetensors"), std::string_view::npos) << e.what();
      EXPECT_NE(std::string_view(e.what()).find(name), std::string_view::npos) << e.what();
    }
  };
  StateDict missing = good;
  missing.erase("exp_avg_sq.a.bias");
  refused(missing, "exp_avg_sq.a.bias");
  StateDict other_shape = good;
  other_shape.set("exp_avg.a.bias", at::zeros({7}));
  refused(other_shape, "exp_avg.a.bias");
  StateDict foreign = good;
  foreign.set("exp_avg.c.weight", at::zeros({7}));
  refused(foreign, "exp_avg.c.weight");
  StateDict orphan = good;
  orphan.erase("step.a.bias");
  refused(orphan, "exp_avg.a.bias");
  StateDict odd = good;
  odd.set("step.a.bias", at::scalar_tensor(0, at::kLong));
  refused(odd, "step.a.bias");
  optimizer.load_state(good, "optimizer.safetensors");
}

}  // namespace
}  // namespace vicha
