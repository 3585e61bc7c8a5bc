#include "nn/parameters.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace vicha {
namespace {

bool is_decayed(const std::string& name, at::IntArrayRef shape) {
  return shape.size() != 1 && !name.ends_with(".bias");
}

/// FNV-1a.
std::uint64_t hash(std::string_view text) {
  std::uint64_t h = 14695981039346656037ULL;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return h;
}

}  // namespace

at::Tensor ParameterStore::initialised(const std::string& name, at::IntArrayRef shape, Init init,
                                       std::int64_t fan_in) const {
  if (init == Init::kZeros) return at::zeros(shape, at::kFloat);
  if (init == Init::kOnes) return at::ones(shape, at::kFloat);
  at::Tensor value = at::empty(shape, at::kFloat);
  float* p = value.data_ptr<float>();
  const std::int64_t n = value.numel();
  const double bound = init == Init::kLinearDefault ? 1.0 / std::sqrt(static_cast<double>(fan_in)) : 0.0;
  const std::uint64_t seed = mix_seed({seed_, hash(name)});
  // Runs of fixed length with a generator each: the values do not depend on the number of threads.
  constexpr std::int64_t kRun = 16384;
  at::parallel_for(0, (n + kRun - 1) / kRun, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t run = begin; run < end; ++run) {
      Rng rng(mix_seed({seed, static_cast<std::uint64_t>(run)}));
      for (std::int64_t i = run * kRun; i < std::min(n, (run + 1) * kRun); ++i) {
        double x;
        if (init == Init::kLinearDefault) {
          x = rng.uniform(-bound, bound);
        } else {
          x = rng.normal();
          while (init == Init::kTruncatedNormal002 && std::abs(x) > 2.0) x = rng.normal();
          x *= 0.02;
        }
        p[i] = static_cast<float>(x);
      }
    }
  });
  return value;
}

at::Tensor ParameterStore::add(const std::string& name, at::IntArrayRef shape, Init init, std::int64_t fan_in) {
  return add_fused(name, {name}, shape, init, fan_in);
}

at::Tensor ParameterStore::add_fused(const std::string& name, const std::vector<std::string>& part_names,
                                     at::IntArrayRef shape, Init init, std::int64_t fan_in) {
  VICHA_ASSERT(by_name_.count(name) == 0);
  at::Tensor value = initialised(name, shape, init, fan_in);
  value.set_requires_grad(true);
  const auto index = static_cast<std::int64_t>(parameters_.size());
  by_name_[name] = parameters_.size();
  parameters_.push_back({name, value, is_decayed(name, shape)});
  parameters_.back().scopes = open_;
  parameters_.back().tower = tower_;
  parameters_.back().layer = layer_;
  for (std::size_t i = 0; i < part_names.size(); ++i) {
    released_.push_back(
        {part_names[i], index, static_cast<std::int64_t>(i), static_cast<std::int64_t>(part_names.size())});
  }
  return value;
}

void ParameterStore::pair_up(std::size_t begin, std::size_t middle) {
  const std::size_t count = middle - begin;
  VICHA_ASSERT(parameters_.size() == middle + count);
  const at::NoGradGuard guard;
  for (std::size_t i = 0; i < count; ++i) {
    const Parameter& original = parameters_[begin + i];
    Parameter& copy = parameters_[middle + i];
    VICHA_ASSERT(copy.value.sizes() == original.value.sizes());
    copy.follower = true;
    copy.value.set_requires_grad(false);
    copy.value.copy_(original.value);
    twins_.emplace_back(middle + i, begin + i);
  }
}

bool Parameter::in(std::string_view scope) const {
  return !follower && std::find(scopes.begin(), scopes.end(), scope) != scopes.end();
}

std::vector<std::string> ParameterStore::scopes() const {
  std::vector<std::string> names;
  for (const Parameter& p : parameters_) {
    if (p.follower) continue;
    for (const std::string& scope : p.scopes) {
      if (std::find(names.begin(), names.end(), scope) == names.end()) names.push_back(scope);
    }
  }
  return names;
}

void ParameterStore::freeze(std::string_view scope) {
  for (Parameter& p : parameters_) {
    if (p.in(scope)) p.value.set_requires_grad(false);
  }
}

void ParameterStore::set_lr_scale(std::string_view scope, double scale) {
  for (Parameter& p : parameters_) {
    if (p.in(scope)) p.lr_scale = scale;
  }
}

void ParameterStore::set_begin(std::string_view scope, double share) {
  for (Parameter& p : parameters_) {
    if (p.in(scope)) p.begins = share;
  }
}

void ParameterStore::decay_layers(double decay) {
  std::unordered_map<std::string, std::int64_t> depth;
  for (const Parameter& p : parameters_) depth[p.tower] = std::max(depth[p.tower], p.layer);
  for (Parameter& p : parameters_) {
    if (!p.tower.empty()) p.lr_scale *= std::pow(decay, static_cast<double>(depth[p.tower] - p.layer));
  }
}

bool ParameterStore::frozen(std::string_view scope) const {
  bool any = false;
  for (const Parameter& p : parameters_) {
    if (!p.in(scope)) continue;
    if (p.value.requires_grad()) return false;
    any = true;
  }
  return any;
}

void ParameterStore::alias(const std::string& name, const std::string& target) { alias_fused({name}, target); }

void ParameterStore::alias_fused(const std::vector<std::string>& part_names, const std::string& target) {
  const auto at = by_name_.find(target);
  VICHA_ASSERT(at != by_name_.end());
  const auto parts = static_cast<std::int64_t>(part_names.size());
  for (std::int64_t i = 0; i < parts; ++i) {
    released_.push_back(
        {part_names[static_cast<std::size_t>(i)], static_cast<std::int64_t>(at->second), i, parts, true});
  }
}

at::Tensor ParameterStore::add_buffer(const std::string& name, at::Tensor value) {
  released_.push_back({name, -1 - static_cast<std::int64_t>(buffers_.size())});
  buffers_.push_back(value);
  return value;
}

at::Tensor ParameterStore::add_table(const std::string& name, at::Tensor value) {
  value = add_buffer(name, std::move(value));
  released_.back().is_table = true;
  return value;
}

const Parameter& ParameterStore::parameter(std::string_view name) const {
  const auto at = by_name_.find(std::string(name));
  if (at == by_name_.end()) throw std::logic_error("internal error: no parameter named " + std::string(name));
  return parameters_[at->second];
}

at::Tensor ParameterStore::view(const Released& r) const {
  if (r.parameter < 0) return buffers_[static_cast<std::size_t>(-1 - r.parameter)];
  const at::Tensor whole = parameters_[static_cast<std::size_t>(r.parameter)].value.detach();
  return r.parts == 1 ? whole : whole.chunk(r.parts, 0)[static_cast<std::size_t>(r.part)];
}

at::Tensor ParameterStore::grad_view(const Released& r) const {
  if (r.parameter < 0) return {};
  const at::Tensor& grad = parameters_[static_cast<std::size_t>(r.parameter)].value.grad();
  if (!grad.defined() || r.parts == 1) return grad;
  return grad.chunk(r.parts, 0)[static_cast<std::size_t>(r.part)];
}

void ParameterStore::to(const at::Device& device) {
  for (Parameter& p : parameters_) p.value.set_data(p.value.detach().to(device));
  for (at::Tensor& b : buffers_) b.set_data(b.to(device));
}

}  // namespace vicha
