// Checkpoints of a run: folders OUT/checkpoints/step-000040, complete or not there at all.
//   model.safetensors      parameters, momentum, queues, by the names of released checkpoints
//   optimizer.safetensors  AdamW's moments and step counts
//   task.safetensors       what else the task keeps
//   state.json             where the run stands and what its bits depend on
//   config.json, recipe.toml, and what the task adds (a vocabulary)
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/adamw.h"
#include "train/task.h"
#include "train/train_options.h"

namespace vicha {

struct TrainState {
  std::int64_t step = 0;                                              ///< optimiser steps done
  std::int64_t epoch = 0, batch_in_epoch = 0, batches_per_epoch = 0;  ///< of the next batch
  std::int64_t seed = 0;
  Precision precision = Precision::kFp32;  ///< as resolved
  std::string matmul_kernel;               ///< "blas" or "onednn", as measured: a resumed run must not choose again
  std::int64_t threads = 0;
  std::int64_t processes = 1;  ///< that trained together
  double seconds = 0.0;
  std::int64_t skipped = 0;
};

struct FoundCheckpoint {
  std::int64_t step;
  std::filesystem::path path;
};

/// Complete checkpoints of the run in `out`, oldest first.
std::vector<FoundCheckpoint> list_checkpoints(const std::filesystem::path& out);

/// The folder of the checkpoint of that step, whether it is there or not.
std::filesystem::path checkpoint_path(const std::filesystem::path& out, std::int64_t step);

/// Writes the checkpoint of state.step and returns its folder. Throws Error, leaving what was there before as it was,
/// if a weight is NaN or infinite or the disk is full.
std::filesystem::path save_checkpoint(const std::filesystem::path& out, Task& task, const AdamW& optimizer,
                                      const TrainState& state);

/// Restores task and optimiser. Throws DataError, the weights as they were, on: a file missing or damaged; tensors
/// missing, of other shapes or of another model; a configuration that differs in a key not among `may_change`
/// (config_changes.h; the others are warned of).
TrainState load_checkpoint(const std::filesystem::path& folder, Task& task, AdamW& optimizer,
                           const std::vector<std::string>& may_change);

/// Only the weights of a checkpoint, strictly: every tensor of the store and no other.
void load_model(const std::filesystem::path& file, ParameterStore& store);

/// Removes all but the newest `keep` checkpoints, 0: none, and that of step `also`.
void prune_checkpoints(const std::filesystem::path& out, std::int64_t keep, std::optional<std::int64_t> also = {});
/// Renames checkpoints after `step` to superseded-step-…: a run that starts over there would pass them again.
void set_aside_checkpoints(const std::filesystem::path& out, std::int64_t step);
/// Removes what processes that were killed were writing in the run's folders (base/temporary.h).
void remove_run_leftovers(const std::filesystem::path& out);

}  // namespace vicha
