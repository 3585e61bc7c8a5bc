// The training loop: batches in, checkpoints and curves out. It knows no model and no data set.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "distributed/group.h"
#include "train/config_changes.h"
#include "train/metrics.h"
#include "train/resume.h"
#include "train/task.h"
#include "train/train_options.h"
#include "train/validation.h"

namespace vicha {

struct RunSetup {
  std::filesystem::path out;  ///< checkpoints/, metrics.jsonl and tensorboard/ go there
  ResumeChoice resume = {};
  std::string device = "auto";                             ///< see choose_device
  std::vector<std::string> may_change = resumable_keys();  ///< configuration keys free to change on resume
  bool may_change_data = false;  ///< resume although an epoch has another number of batches than at the checkpoint
  /// Who trains together; must outlive the run. Every rank calls run_training with the same options and `out`, a folder
  /// they share, and is called back; only the writer touches files.
  const Group& group = Group::alone();
  std::function<void(const StepRecord&)> on_log = {};  ///< after each step, with its losses
  /// After each checkpoint is complete: periodic evaluation. The last checkpoint is included; that of a run which is
  /// stopped is not, and a signal on the way ends the process at once.
  std::function<void(const std::filesystem::path& checkpoint, std::int64_t step)> on_checkpoint = {};
  /// Judges the run at its checkpoints and may end it early; null: nobody does. Must outlive the run.
  Validation* validation = nullptr;
  /// The signal that asks the run to stop, 0 while there is none; read before each step and while it waits for a batch.
  /// Not given: SIGINT and SIGTERM are caught. Heard by one rank it stops all, after the same step.
  std::function<int()> stop_signal = {};
};

struct RunResult {
  std::int64_t step = 0, total_steps = 0;
  std::filesystem::path last_checkpoint;
  std::filesystem::path best_checkpoint = {};  ///< as the validation judged; empty where nobody did
  double seconds = 0.0;                        ///< of training, earlier sessions of the run included
  bool finished = false;                       ///< false: a signal ended it early
  bool enough = false;                         ///< the validation ended it: finished before total_steps
  int signal = 0;                              ///< that ended it early; 0 where it finished

  /// Of a program that trained: 0, or as a shell gives it for a program that a signal ended, so that
  /// `vicha pretrain … && vicha eval …` does not go on with half a run.
  int exit_status() const { return finished ? 0 : 128 + signal; }
};

/// Trains until the run's length is reached, its validation has had enough or SIGINT or SIGTERM comes, either way with
/// a checkpoint at the end. Killed at any moment and resumed on the same machine, a run ends with the same weights,
/// optimiser state and metrics (but for the timings) as one that was never stopped.
///
/// In a group, a step learns from the batches of all ranks as from one that joins them: gradients, losses and measures
/// are means over ranks. An exception on one rank ends the others with an Error.
///
/// Throws Error when a loss is NaN or infinite (naming step, term and last good checkpoint; nothing is saved after it)
/// and when a checkpoint cannot be written; DataError as load_checkpoint does, and when the data has another size than
/// at the checkpoint; UsageError on values that fit no run.
RunResult run_training(Task& task, BatchSource& source, const TrainOptions& options, const RunSetup& setup);

}  // namespace vicha
