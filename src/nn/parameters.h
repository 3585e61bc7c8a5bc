// The tensors a model learns, by the names of released checkpoints.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/random.h"

namespace vicha {

enum class Init {
  kZeros,
  kOnes,
  kNormal002,           ///< N(0, 0.02): BERT
  kTruncatedNormal002,  ///< N(0, 0.02) cut at two deviations: ViT
  kLinearDefault,       ///< U(-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's default linear; fan_in is given
};

/// One stored tensor. Released checkpoints may hold it in several pieces (query, key, value): `parts`.
struct Parameter {
  std::string name;  ///< as stored here; equals the released name unless it has parts
  at::Tensor value;
  bool decayed = true;    ///< weight decay applies: not 1-D and not a bias
  double lr_scale = 1.0;  ///< its learning rate as a multiple of the run's
  double begins = 0.0;    ///< share of the run at which it first learns
};

class ParameterStore {
 public:
  /// The values of a parameter are drawn from `seed` and its name: the order of registration changes none.
  explicit ParameterStore(std::uint64_t seed) : seed_(seed) {}

  /// A new parameter. `fan_in` only matters to kLinearDefault.
  at::Tensor add(const std::string& name, at::IntArrayRef shape, Init init, std::int64_t fan_in = 0);
  /// A parameter whose equal blocks of rows are stored under `part_names` in checkpoints.
  at::Tensor add_fused(const std::string& name, const std::vector<std::string>& part_names, at::IntArrayRef shape,
                       Init init, std::int64_t fan_in = 0);
  /// A second released name of a parameter (tied weights).
  void alias(const std::string& name, const std::string& target);
  /// State that is saved but not learned (queues); `name` as in released checkpoints.
  at::Tensor add_buffer(const std::string& name, at::Tensor value);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  void set_lr_scale(std::size_t parameter, double scale) { parameters_[parameter].lr_scale = scale; }
  void set_begin(std::size_t parameter, double share) { parameters_[parameter].begins = share; }
  /// The parameter of that stored name; throws std::logic_error if there is none.
  const Parameter& parameter(std::string_view name) const;
  bool has_parameter(std::string_view name) const { return by_name_.count(std::string(name)) != 0; }

  /// Released names, parts, aliases and buffers included, with views of the stored tensors.
  struct Released {
    std::string name;
    std::int64_t parameter;  ///< index, or -1 - index of a buffer
    std::int64_t part = 0, parts = 1;
    bool is_alias = false;
  };
  const std::vector<Released>& released() const { return released_; }
  at::Tensor view(const Released& r) const;
  /// The gradient of that piece; undefined where there is none.
  at::Tensor grad_view(const Released& r) const;

  /// Moves every tensor (in place: handles given out stay valid).
  void to(const at::Device& device);

 private:
  at::Tensor initialised(const std::string& name, at::IntArrayRef shape, Init init, std::int64_t fan_in) const;

  std::uint64_t seed_;
  std::vector<Parameter> parameters_;
  std::vector<at::Tensor> buffers_;
  std::vector<Released> released_;
  std::unordered_map<std::string, std::size_t> by_name_;
};

}  // namespace vicha
