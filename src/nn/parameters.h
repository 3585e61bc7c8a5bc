// The tensors a model learns, by the names of released checkpoints.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
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

  std::string tower = {};                ///< "image" or "text": whose depth `layer` counts; "" outside
  std::int64_t layer = 0;                ///< 0: embeddings, then the layers from 1
  std::vector<std::string> scopes = {};  ///< what it belongs to, the outermost first: "heads", "itm_head"
  bool follower = false;                 ///< a momentum copy: it never learns, and no scope counts it

  bool in(std::string_view scope) const;
};

/// A part of the model that exists twice: online, and as a momentum copy.
template <class Part>
struct Twins {
  Part online, momentum;
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
  /// The same of a parameter that checkpoints store in equal blocks: a second name for each.
  void alias_fused(const std::vector<std::string>& part_names, const std::string& target);
  /// State that is saved but not learned (queues); `name` as in released checkpoints.
  at::Tensor add_buffer(const std::string& name, at::Tensor value);
  /// A table that follows from the sizes (fixed positions): saved as released checkpoints have it, made rather than
  /// loaded.
  at::Tensor add_table(const std::string& name, at::Tensor value);

  /// While one lives, what is registered belongs to its scope (and to those around it).
  class Scope {
   public:
    Scope(ParameterStore& store, std::string name) : store_(store) { store_.open_.push_back(std::move(name)); }
    ~Scope() { store_.open_.pop_back(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    ParameterStore& store_;
  };
  /// While one lives, what is registered is of that layer of a tower.
  class Layer {
   public:
    Layer(ParameterStore& store, std::string tower, std::int64_t layer) : store_(store) {
      store_.tower_ = std::move(tower);
      store_.layer_ = layer;
    }
    ~Layer() { store_.tower_.clear(); }
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;

   private:
    ParameterStore& store_;
  };
  /// What `make("")` registers, and under other names once more by `make("_m")`: momentum copies, which are pulled
  /// after the first by follow() and start equal to them. Both must register the same, in the same order.
  template <class Make>
  auto add_twins(const Make& make) -> Twins<decltype(make(std::string()))> {
    const std::size_t begin = parameters_.size();
    auto online = make(std::string());
    const std::size_t middle = parameters_.size();
    auto momentum = make(std::string("_m"));
    pair_up(begin, middle);
    return {std::move(online), std::move(momentum)};
  }
  /// Indices of (copy, original) in parameters().
  const std::vector<std::pair<std::size_t, std::size_t>>& twins() const { return twins_; }

  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// The tensor of parameters()[index], writable.
  at::Tensor& value(std::size_t index) { return parameters_[index].value; }
  /// Names of all scopes that have parameters, in the order of registration.
  std::vector<std::string> scopes() const;
  /// For every parameter of a scope; nothing happens where there is none.
  void freeze(std::string_view scope);
  void set_lr_scale(std::string_view scope, double scale);
  void set_begin(std::string_view scope, double share);
  /// Multiplies the learning rates of each tower's layers: by 1 at its last layer, by `decay` once more for each below.
  void decay_layers(double decay);
  /// Whether the scope has parameters and none of them learns.
  bool frozen(std::string_view scope) const;
  /// The parameter of that stored name; throws std::logic_error if there is none.
  const Parameter& parameter(std::string_view name) const;
  bool has_parameter(std::string_view name) const { return by_name_.count(std::string(name)) != 0; }

  /// Released names, parts, aliases and buffers included, with views of the stored tensors.
  struct Released {
    std::string name;
    std::int64_t parameter;  ///< index, or -1 - index of a buffer
    std::int64_t part = 0, parts = 1;
    bool is_alias = false;
    bool is_table = false;
  };
  const std::vector<Released>& released() const { return released_; }
  at::Tensor view(const Released& r) const;
  /// The gradient of that piece; undefined where there is none.
  at::Tensor grad_view(const Released& r) const;

  /// Moves every tensor (in place: handles given out stay valid).
  void to(const at::Device& device);

 private:
  at::Tensor initialised(const std::string& name, at::IntArrayRef shape, Init init, std::int64_t fan_in) const;

  void pair_up(std::size_t begin, std::size_t middle);

  std::uint64_t seed_;
  std::vector<std::string> open_;
  std::string tower_;
  std::int64_t layer_ = 0;
  std::vector<std::pair<std::size_t, std::size_t>> twins_;
  std::vector<Parameter> parameters_;
  std::vector<at::Tensor> buffers_;
  std::vector<Released> released_;
  std::unordered_map<std::string, std::size_t> by_name_;
};

}  // namespace vicha
