// All that the training loop knows about what it trains and where batches come from.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "checkpoint/tensors/state_dict.h"
#include "config/serialize.h"
#include "models/batch.h"
#include "nn/parameters.h"

namespace vicha {

// Several processes (distributed/group.h) each have a task and a source of their own, with the same weights and
// different shares of each step's samples.

/// Where in the run a step stands. Everything is a function of the step number: nothing here needs saving.
struct StepContext {
  std::int64_t step = 0;  ///< optimiser steps done before this one
  std::int64_t epoch = 0;
  std::int64_t step_in_epoch = 0;
  std::int64_t steps_per_epoch = 0;
  std::int64_t total_steps = 0;  ///< planned for the whole run
  std::int64_t micro_batch = 0;  ///< which part of an accumulated step this is
  Rng* rng = nullptr;  ///< this step's random numbers (dropout, negatives, patches), seeded from (seed, step) and,
                       ///< for all ranks but the first, the rank
};

struct Losses {
  at::Tensor total;                                          ///< scalar, weights applied: what is differentiated
  std::vector<std::pair<std::string, at::Tensor>> terms;     ///< unweighted scalars, detached or not, for the log
  std::vector<std::pair<std::string, at::Tensor>> measures;  ///< other scalars worth logging (temperature, accuracies)
};

class Task {
 public:
  virtual ~Task() = default;
  /// Forward pass of one (micro-)batch. The loop differentiates `total`.
  virtual Losses step(const Batch& batch, const StepContext& context) = 0;
  /// Called after each backward pass, before the optimiser: what must not change under the feet of autograd (queues).
  /// State that is saved must change alike on every rank: what depends on the samples is gathered first.
  virtual void after_backward() {}
  virtual ParameterStore& parameters() = 0;
  /// State beside the parameter store's tensors (queue pointer …), saved and restored for exact resume. In a group the
  /// writer's is saved and restored on all ranks.
  virtual void save_state(StateDict& state) const = 0;
  virtual void load_state(const StateDict& state) = 0;
  /// Called when all tensors have been restored: throws DataError naming `file` for a value that no run can have.
  virtual void check_weights(const std::string& /*file*/) const {}
  /// The resolved configuration as JSON: `config.json` of a checkpoint.
  virtual std::string config_json() const = 0;
  /// The same where every key has its default: a checkpoint from before a key existed was trained with that. Empty: not
  /// known.
  virtual std::string default_config_json() const { return ""; }
  /// Keys of that configuration which had another name in older checkpoints.
  virtual std::vector<MovedKey> moved_keys() const { return {}; }
  /// The recipe as TOML: `recipe.toml` of a checkpoint.
  virtual std::string recipe_toml() const = 0;
  /// What else a checkpoint needs to stand alone (a vocabulary): name and content.
  virtual std::vector<std::pair<std::string, std::string>> checkpoint_files() const { return {}; }
};

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// Full batches per epoch (incomplete ones are dropped); the same on every rank.
  virtual std::int64_t batches_per_epoch() const = 0;
  /// Moves to the given batch; the batches from there on depend on (seed, epoch, index) only.
  virtual void seek(std::int64_t epoch, std::int64_t batch_in_epoch) = 0;
  /// Waits until the next batch is there, at most so long, and says whether it is. A source that cannot tell says yes,
  /// and then a slow disk keeps a run from ending when it is asked to.
  virtual bool ready(std::chrono::milliseconds /*patience*/) { return true; }
  /// The next batch, of this rank's share; of the same size on every rank. Continues into the next epoch.
  /// Throws on unrecoverable data errors.
  virtual Batch next() = 0;
  /// Samples of this rank skipped so far because they could not be read.
  virtual std::int64_t skipped() const { return 0; }
};

}  // namespace vicha
