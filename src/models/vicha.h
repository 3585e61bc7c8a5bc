// The model as host: online encoders, their momentum copies, the temperature and the queue, under the names of released
// checkpoints. Objectives and tasks register heads of their own in its parameter store.
#pragma once

#include <string_view>

#include "models/encoders.h"
#include "models/model_options.h"
#include "models/queue.h"

namespace vicha {

class Vicha {
 public:
  /// Throws UsageError naming the keys of options that do not fit together.
  Vicha(const ModelOptions& options, std::uint64_t seed);

  const ModelOptions& options() const { return options_; }
  ParameterStore& parameters() { return store_; }
  const ParameterStore& parameters() const { return store_; }

  /// Momentum copies become equal to the online weights.
  void reset_momentum();
  /// m = momentum * m + (1 - momentum) * online; once a step, with the weights before this step's update.
  void update_momentum();
  /// To [0.001, 0.5], at the start of a pretraining step.
  void clamp_temperature();
  /// Stops learning of a scope of the parameters. Throws UsageError that lists the scopes where there is none of that
  /// name.
  void freeze(std::string_view scope);
  bool text_frozen() const { return store_.frozen("text"); }

  at::Device device() const { return temperature_.device(); }
  void to(const at::Device& device) { store_.to(device); }

  Encoders& online() { return encoders_.online; }
  const Encoders& online() const { return encoders_.online; }
  const Encoders& momentum() const { return encoders_.momentum; }
  /// 0-D, "temp".
  const at::Tensor& temperature() const { return temperature_; }
  Queue& queue() { return queue_; }

 private:
  ModelOptions options_;
  ParameterStore store_;
  Twins<Encoders> encoders_;
  at::Tensor temperature_;
  Queue queue_;
};

}  // namespace vicha
