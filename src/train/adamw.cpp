#include "train/adamw.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "base/error.h"
#include "nn/kernels.h"

namespace vicha {
namespace {

constexpr std::int64_t kBlock = 16384;  // elements: the four arrays of a block fit a core's cache
constexpr double kNormEpsilon = 1e-6;   // as PyTorch's clip_grad_norm_
constexpr std::string_view kMean = "exp_avg.", kSquare = "exp_avg_sq.", kSteps = "step.";

/// Several arrays seen as one, cut into blocks of equal size: threads get equal shares whatever the sizes of the
/// arrays.
class FlatBlocks {
 public:
  void add(std::int64_t elements) {
    starts_.push_back(total_);
    total_ += elements;
  }
  std::int64_t count() const { return (total_ + kBlock - 1) / kBlock; }

  /// Calls body(array, begin, end) for each piece of an array that block `b` covers.
  template <class Body>
  void visit(std::int64_t b, const Body& body) const {
    std::int64_t at = b * kBlock;
    const std::int64_t end = std::min(total_, at + kBlock);
    auto array = static_cast<std::size_t>(std::upper_bound(starts_.begin(), starts_.end(), at) - starts_.begin() - 1);
    while (at < end) {
      const std::int64_t array_end = array + 1 < starts_.size() ? starts_[array + 1] : total_;
      const std::int64_t stop = std::min(end, array_end);
      if (stop > at) body(array, at - starts_[array], stop - starts_[array]);
      at = stop;
      ++array;
    }
  }

 private:
  std::vector<std::int64_t> starts_;
  std::int64_t total_ = 0;
};

double sum_of_squares(const float* x, std::int64_t n) {
  std::array<double, 8> lanes{};  // independent sums, so that the compiler may use vectors
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int k = 0; k < 8; ++k) lanes[k] += static_cast<double>(x[i + k]) * x[i + k];
  }
  for (; i < n; ++i) lanes[0] += static_cast<double>(x[i]) * x[i];
  double sum = 0.0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

at::Tensor host_norm(const std::vector<at::Tensor>& gradients) {
  FlatBlocks blocks;
  std::vector<const float*> data;
  for (const at::Tensor& g : gradients) {
    blocks.add(g.numel());
    data.push_back(g.const_data_ptr<float>());
  }
  std::vector<double> sums(static_cast<std::size_t>(blocks.count()));
  at::parallel_for(0, blocks.count(), 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t b = from; b < to; ++b) {
      blocks.visit(b, [&](std::size_t array, std::int64_t begin, std::int64_t end) {
        sums[static_cast<std::size_t>(b)] += sum_of_squares(data[array] + begin, end - begin);
      });
    }
  });
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return at::scalar_tensor(std::sqrt(total), at::kDouble);
}

/// The gradient as kernels want it: fp32, contiguous; undefined where there is none.
at::Tensor plain_gradient(const Parameter& parameter) {
  const at::Tensor& gradient = parameter.value.grad();
  return gradient.defined() ? gradient.detach().to(at::kFloat).contiguous() : gradient;
}

}  // namespace

AdamW::AdamW(const ParameterStore& store, const OptimizerOptions& options, AdamWKernels kernels)
    : store_(store), options_(options), kernels_(kernels), moments_(store.parameters().size()) {
  for (const Parameter& p : store.parameters()) {
    VICHA_ASSERT(p.value.scalar_type() == at::kFloat && p.value.is_contiguous());
  }
}

bool AdamW::own_kernels() const {
  const auto& parameters = store_.parameters();
  return kernels_ == AdamWKernels::kByDevice && (parameters.empty() || parameters.front().value.is_cpu());
}

at::Tensor AdamW::gradient_norm() const {
  std::vector<at::Tensor> gradients;
  for (const Parameter& p : store_.parameters()) {
    if (const at::Tensor g = plain_gradient(p); g.defined()) gradients.push_back(g);
  }
  if (own_kernels() || gradients.empty()) return host_norm(gradients);
  return at::stack(at::_foreach_norm(gradients)).norm();
}

void AdamW::step(double lr, const at::Tensor& norm) {
  step([lr](const Parameter&) { return lr; }, norm);
}

void AdamW::step(const LearningRate& lr, const at::Tensor& norm) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < moments_.size(); ++i) {
    const Parameter& p = store_.parameters()[i];
    if (!p.value.grad().defined()) continue;
    Moments& m = moments_[i];
    if (!m.mean.defined()) {
      m.mean = at::zeros_like(p.value);
      m.square = at::zeros_like(p.value);
    }
    ++m.steps;
  }
  if (!own_kernels()) return step_by_libtorch(lr, norm);
  const double scale = norm.defined() ? std::min(1.0, options_.clip_norm / (norm.item<double>() + kNormEpsilon)) : 1.0;
  step_by_own_kernels(lr, scale);
}

void AdamW::step_by_own_kernels(const LearningRate& lr, double scale) {
  struct Array {
    at::Tensor gradient;
    float *p, *mean, *square;
    const float* g;
    kernels::AdamwFactors factors;
  };
  FlatBlocks blocks;
  std::vector<Array> arrays;
  for (std::size_t i = 0; i < moments_.size(); ++i) {
    const Parameter& p = store_.parameters()[i];
    const at::Tensor gradient = plain_gradient(p);
    if (!gradient.defined()) continue;
    const Moments& m = moments_[i];
    const auto t = static_cast<double>(m.steps);
    const double own_lr = lr(p) * p.lr_scale;
    kernels::AdamwFactors f{};
    f.keep = static_cast<float>(1.0 - (p.decayed ? own_lr * options_.weight_decay : 0.0));
    f.new1 = static_cast<float>(1.0 - options_.beta1);
    f.new2 = static_cast<float>(1.0 - options_.beta2);
    f.beta2 = static_cast<float>(options_.beta2);
    f.step = static_cast<float>(own_lr / (1.0 - std::pow(options_.beta1, t)));
    f.bias2_sqrt = static_cast<float>(std::sqrt(1.0 - std::pow(options_.beta2, t)));
    f.eps = static_cast<float>(options_.eps);
    f.grad_scale = static_cast<float>(scale);
    blocks.add(gradient.numel());
    arrays.push_back({gradient, p.value.data_ptr<float>(), m.mean.data_ptr<float>(), m.square.data_ptr<float>(),
                      gradient.const_data_ptr<float>(), f});
  }
  at::parallel_for(0, blocks.count(), 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t b = from; b < to; ++b) {
      blocks.visit(b, [&](std::size_t array, std::int64_t begin, std::int64_t end) {
        const Array& a = arrays[array];
        kernels::adamw_row(a.p + begin, a.g + begin, a.mean + begin, a.square + begin, a.factors, end - begin);
      });
    }
  });
}

void AdamW::step_by_libtorch(const LearningRate& lr, const at::Tensor& norm) {
  // Everything stays on the device: reading the clipping factor would make the host wait.
  at::Tensor scale;
  if (norm.defined()) scale = (options_.clip_norm / (norm + kNormEpsilon)).clamp_max(1.0).to(at::kFloat);
  struct Group {
    std::vector<at::Tensor> values, gradients, means, squares;
    std::vector<float> counts;
  };
  std::map<std::pair<bool, double>, Group> groups;  // by decay and learning rate
  for (std::size_t i = 0; i < moments_.size(); ++i) {
    const Parameter& p = store_.parameters()[i];
    const at::Tensor gradient = plain_gradient(p);
    if (!gradient.defined()) continue;
    Group& group = groups[{p.decayed, lr(p) * p.lr_scale}];
    group.values.push_back(p.value.detach());
    group.gradients.push_back(gradient);
    group.means.push_back(moments_[i].mean);
    group.squares.push_back(moments_[i].square);
    group.counts.push_back(static_cast<float>(moments_[i].steps));
  }
  for (auto& [kind, group] : groups) {
    const auto [decayed, own_lr] = kind;
    if (scale.defined()) group.gradients = at::_foreach_mul(group.gradients, scale);
    const at::Tensor steps = at::tensor(group.counts).to(group.values.front().device(), /*non_blocking=*/true);
    at::_fused_adamw_(group.values, group.gradients, group.means, group.squares, {}, steps.unbind(), own_lr,
                      options_.beta1, options_.beta2, decayed ? options_.weight_decay : 0.0, options_.eps,
                      /*amsgrad=*/false, /*maximize=*/false);
  }
}

void AdamW::clear_gradients() const {
  for (const Parameter& p : store_.parameters()) p.value.mutable_grad() = at::Tensor();
}

void AdamW::save_state(StateDict& state) const {
  for (std::size_t i = 0; i < moments_.size(); ++i) {
    const Moments& m = moments_[i];
    if (m.steps == 0) continue;
    const std::string& name = store_.parameters()[i].name;
    state.set(std::string(kMean) + name, m.mean);
    state.set(std::string(kSquare) + name, m.square);
    state.set(std::string(kSteps) + name, at::scalar_tensor(m.steps, at::kLong));
  }
}

void AdamW::load_state(const StateDict& state, std::string_view where) {
  std::vector<Moments> loaded(moments_.size());
  std::size_t used = 0;
  const auto fetch = [&](const std::string& name, const at::Tensor& like) {
    const at::Tensor& tensor = state.at(name, where);
    if (tensor.scalar_type() != at::kFloat || tensor.sizes() != like.sizes()) {
      throw DataError(where, "tensor '" + name + "' is not of its parameter's shape and type (float32)",
                      "The checkpoint is of another model; start with the recipe that lies beside it");
    }
    ++used;
    return tensor.to(like.device(), at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
  };
  for (std::size_t i = 0; i < moments_.size(); ++i) {
    const Parameter& p = store_.parameters()[i];
    const at::Tensor steps = state.find(std::string(kSteps) + p.name);
    if (!steps.defined()) continue;
    if (steps.scalar_type() != at::kLong || steps.numel() != 1 || steps.item<std::int64_t>() < 1) {
      throw DataError(where, "tensor '" + std::string(kSteps) + p.name + "' is not a count of steps",
                      "The file is damaged; use another checkpoint");
    }
    ++used;
    loaded[i].steps = steps.item<std::int64_t>();
    loaded[i].mean = fetch(std::string(kMean) + p.name, p.value);
    loaded[i].square = fetch(std::string(kSquare) + p.name, p.value);
  }
  if (used != state.size()) {
    for (const auto& [name, tensor] : state) {
      const std::string parameter = name.substr(name.find('.') + 1);
      if (!store_.has_parameter(parameter) || !state.contains(std::string(kSteps) + parameter)) {
        throw DataError(where, "tensor '" + name + "' belongs to no parameter of this model",
                        "The checkpoint is of another model; start with the recipe that lies beside it");
      }
    }
    throw DataError(where, "holds tensors that are not an optimiser state", "Use another checkpoint");
  }
  moments_ = std::move(loaded);
}

}  // namespace vicha
