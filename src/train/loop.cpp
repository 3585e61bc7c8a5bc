#include "train/loop.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/signals.h"
#include "nn/kernel_choice.h"
#include "nn/precision.h"
#include "train/adamw.h"
#include "train/checkpoint_folder.h"
#include "train/device.h"
#include "train/group_sync.h"
#include "train/loss_reader.h"
#include "train/run_recorder.h"
#include "train/schedule.h"

namespace vicha {
namespace {

constexpr std::chrono::milliseconds kPatience{200};  // between looks at whether the run should stop

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string_view matmul_kernel() { return kernel_choice().fp32 == MatmulKernel::kBlas ? "blas" : "onednn"; }

class TrainingRun {
 public:
  TrainingRun(Task& task, BatchSource& source, const TrainOptions& options, const RunSetup& setup);
  RunResult run();

 private:
  void start_or_resume();
  int signal_here() const;
  int asked_to_stop() const;
  bool await_batch(std::int64_t micro);
  TrainState restore(const fs::path& checkpoint);
  void warn_of_other_bits(const fs::path& checkpoint, const TrainState& state) const;
  bool train_step();
  std::int64_t forward_backward(std::int64_t micro);
  void record(bool wait);
  void stop_if_not_finite(const NamedValues& values, std::int64_t step) const;
  bool checkpoint_due() const;
  void save();
  void judge();
  bool had_enough() const;
  std::optional<std::int64_t> best_step() const {
    return setup_.validation != nullptr ? setup_.validation->best_step() : std::nullopt;
  }
  TrainState state() const;

  std::int64_t epoch() const { return step_ / steps_per_epoch_; }
  std::int64_t step_in_epoch() const { return step_ % steps_per_epoch_; }
  double seconds() const { return earlier_seconds_ + seconds_now() - session_start_; }
  double lr_of(double begins) const;
  std::uint64_t seed_of(std::int64_t micro) const;
  std::string checkpoint_name() const { return last_checkpoint_.empty() ? "none" : last_checkpoint_.string(); }

  Task& task_;
  BatchSource& source_;
  const TrainOptions& options_;
  const RunSetup& setup_;
  const Group& group_;
  const at::Device device_;
  const std::int64_t accumulate_, batches_per_epoch_, steps_per_epoch_, total_steps_;
  LossReader readings_;
  std::optional<AdamW> optimizer_;
  std::optional<RunRecorder> recorder_;  ///< the writer's
  std::optional<StopSignals> caught_;    ///< from the first step on; not if the setup says who asks to stop

  std::int64_t step_ = 0, saved_step_ = 0;
  bool bf16_ = false;
  std::int64_t earlier_skipped_ = 0, skipped_ = 0;  ///< samples of all ranks: in earlier sessions, and all in all
  double earlier_seconds_ = 0.0, session_start_ = 0.0, step_seconds_ = 0.0, waited_ = 0.0;
  fs::path last_checkpoint_;
};

std::int64_t steps_of_epoch(std::int64_t batches, std::int64_t accumulate) {
  if (batches / accumulate > 0) return batches / accumulate;
  throw UsageError(
      fmt::format("an epoch has {} full batches, fewer than the {} of one optimiser step "
                  "(optimizer.accumulate); lower the batch size or optimizer.accumulate, or add data",
                  batches, accumulate));
}

TrainingRun::TrainingRun(Task& task, BatchSource& source, const TrainOptions& options, const RunSetup& setup)
    : task_(task),
      source_(source),
      options_(options),
      setup_(setup),
      group_(setup.group),
      device_(choose_device(setup.device)),
      accumulate_(options.optimizer.accumulate),
      batches_per_epoch_(source.batches_per_epoch()),
      steps_per_epoch_(steps_of_epoch(batches_per_epoch_, accumulate_)),
      total_steps_(options.length.max_steps > 0 ? options.length.max_steps : options.length.epochs * steps_per_epoch_),
      readings_(device_, group_) {}

RunResult TrainingRun::run() {
  start_or_resume();
  if (!setup_.stop_signal) caught_.emplace();
  int signal = 0;
  bool enough = had_enough();
  while (step_ < total_steps_ && !enough && (signal = asked_to_stop()) == 0) {
    if (!train_step() || !checkpoint_due()) continue;
    judge();
    save();
    enough = had_enough();
  }
  const bool finished = enough || step_ >= total_steps_;
  if (!finished) {
    if (saved_step_ != step_) save();
    if (group_.is_writer()) {
      log::warning("stopped by {} after step {} of {}; last checkpoint: {}. Go on with --resume auto",
                   ::strsignal(signal), step_, total_steps_, checkpoint_name());
    }
  } else if (group_.is_writer()) {
    log::info("trained {} steps in {}{}; last checkpoint: {}", step_, format_duration(seconds()),
              enough && step_ < total_steps_ ? fmt::format(" of {} planned, as it became no better", total_steps_) : "",
              checkpoint_name());
  }
  RunResult result{.step = step_, .total_steps = total_steps_, .last_checkpoint = last_checkpoint_};
  if (const auto best = best_step()) result.best_checkpoint = checkpoint_path(setup_.out, *best);
  result.seconds = seconds();
  result.finished = finished;
  result.enough = enough;
  result.signal = finished ? 0 : signal;
  return result;
}

/// What is learnt of the run is part of the checkpoint that follows.
void TrainingRun::judge() {
  if (setup_.validation == nullptr) return;
  record(/*wait=*/true);  // a loss that is not finite must be noticed before its weights are judged
  setup_.validation->judge(step_);
}

bool TrainingRun::had_enough() const {
  if (setup_.validation == nullptr) return false;
  return std::ranges::max(group_.all_gather(std::int64_t{setup_.validation->enough()})) != 0;
}

int TrainingRun::signal_here() const {
  return caught_ ? caught_->caught() : setup_.stop_signal ? setup_.stop_signal() : 0;
}

/// Ranks hear a signal at different steps, but must stop after the same one.
int TrainingRun::asked_to_stop() const { return std::ranges::max(group_.all_gather(std::int64_t{signal_here()})); }

/// Waits for the next batch; false if the run was asked to stop meanwhile, with nothing of the step begun. Ranks that
/// wait for this one end by its error.
bool TrainingRun::await_batch(std::int64_t micro) {
  const double start = seconds_now();
  while (!source_.ready(kPatience)) {
    const int signal = signal_here();
    if (signal == 0) continue;
    if (group_.is_alone() && micro == 0) return false;
    throw Error(
        fmt::format("stopped by {} while waiting for a batch of step {}; last checkpoint: {}. Go on with "
                    "--resume auto",
                    ::strsignal(signal), step_ + 1, checkpoint_name()));
  }
  waited_ += seconds_now() - start;
  return true;
}

void TrainingRun::start_or_resume() {
  task_.parameters().to(device_);
  optimizer_.emplace(task_.parameters(), options_.optimizer);
  if (group_.is_writer()) remove_run_leftovers(setup_.out);
  const std::optional<fs::path> checkpoint = starting_point(setup_.resume, setup_.out);
  Precision precision = options_.length.precision;
  if (checkpoint) {
    const TrainState state = restore(*checkpoint);
    if (precision == Precision::kAuto) precision = state.precision;
  }
  // What is faster may have been measured otherwise on another rank.
  bf16_ = group_.all_gather(std::int64_t{use_bf16(precision, device_)}).front() != 0;
  saved_step_ = step_;
  require_same_start(group_, step_, batches_per_epoch_);  // which waits: nobody reads the checkpoints any more
  broadcast_weights(group_, task_.parameters());
  if (group_.is_writer()) {
    set_aside_checkpoints(setup_.out, step_);
    recorder_.emplace(setup_.out, options_.log, step_, total_steps_, checkpoint.has_value());
    log::info("{} at step {} of {} ({} steps an epoch), on {}{} in {}; {}", checkpoint ? "resuming" : "starting", step_,
              total_steps_, steps_per_epoch_, device_.str(),
              group_.is_alone() ? "" : fmt::format(" and {} processes", group_.size()), bf16_ ? "bf16" : "fp32",
              kernel_choice().describe());
  }
  session_start_ = seconds_now();
  if (step_ < total_steps_) source_.seek(epoch(), step_in_epoch() * accumulate_);
}

TrainState TrainingRun::restore(const fs::path& checkpoint) {
  const TrainState state = load_checkpoint(checkpoint, task_, *optimizer_, setup_.may_change);
  const bool other_length = state.batches_per_epoch != batches_per_epoch_ && !setup_.may_change_data;
  if (state.seed != options_.length.seed || other_length) {
    throw DataError(
        (checkpoint / "state.json").string(),
        fmt::format("was written with seed {} and {} batches an epoch, the run now has seed {} and {}", state.seed,
                    state.batches_per_epoch, options_.length.seed, batches_per_epoch_),
        "Restore recipe and data, or start a new run with --resume none or another --out (other data alone: "
        "--allow-changed-data)");
  }
  if (state.step > total_steps_) {
    const auto what = fmt::format("\"step\" is {}, of a run of {} steps", state.step, total_steps_);
    throw DataError((checkpoint / "state.json").string(), what, "Plan more, or resume from an earlier checkpoint");
  }
  // Another kernel would round differently: what was measured when the run began holds to its end.
  try {
    set_matmul_kernel(state.matmul_kernel);
  } catch (const UsageError&) {
    // Not there on this machine; the comparison below says so.
  }
  if (group_.is_writer()) warn_of_other_bits(checkpoint, state);
  step_ = state.step;
  earlier_seconds_ = state.seconds;
  skipped_ = earlier_skipped_ = state.skipped;
  last_checkpoint_ = checkpoint;
  return state;
}

void TrainingRun::warn_of_other_bits(const fs::path& checkpoint, const TrainState& state) const {
  if (matmul_kernel() != state.matmul_kernel || at::get_num_threads() != state.threads) {
    log::warning(
        "{}: was trained with {} threads and {} products, this process has {} and {}: results may differ in "
        "the last bits",
        checkpoint.string(), state.threads, state.matmul_kernel, at::get_num_threads(), matmul_kernel());
  }
  if (group_.size() != state.processes) {
    log::warning(
        "{}: was trained by {} processes, now there are {}: random draws of the steps (dropout, negatives) will be "
        "others",
        checkpoint.string(), state.processes, group_.size());
  }
}

/// False if the run was asked to stop before the step had begun.
bool TrainingRun::train_step() {
  const double start = seconds_now();
  waited_ = 0.0;
  const bool leftover_batches = batches_per_epoch_ % accumulate_ != 0;
  if (leftover_batches && step_in_epoch() == 0) source_.seek(epoch(), 0);
  if (!await_batch(0)) return false;

  std::int64_t samples = 0;
  for (std::int64_t micro = 0; micro < accumulate_; ++micro) samples += forward_backward(micro);

  average_gradients(group_, task_.parameters());  // before their norm is taken
  at::Tensor norm;
  if (options_.optimizer.clip_norm > 0.0) {
    norm = optimizer_->gradient_norm();
    readings_.add_measure("grad_norm", norm);
    if (device_.is_cpu()) stop_if_not_finite({{"grad_norm", norm.item<double>()}}, step_ + 1);
  }
  const double lr = lr_of(0.0);
  optimizer_->step([&](const Parameter& p) { return lr_of(p.begins); }, norm);
  optimizer_->clear_gradients();

  step_seconds_ = seconds_now() - start;
  StepRecord record{.step = step_ + 1, .epoch = epoch(), .lr = lr};
  record.samples_per_s = static_cast<double>(samples * group_.size()) / step_seconds_;
  record.seconds = seconds();
  record.data_wait = waited_ / step_seconds_;
  const std::vector<std::int64_t> skipped = group_.all_gather(source_.skipped());
  record.skipped = skipped_ = std::accumulate(skipped.begin(), skipped.end(), earlier_skipped_);
  readings_.close(std::move(record));
  ++step_;
  this->record(/*wait=*/step_ == total_steps_);
  return true;
}

/// Adds one batch's share to the gradients; returns its samples.
std::int64_t TrainingRun::forward_backward(std::int64_t micro) {
  if (micro > 0) await_batch(micro);
  const double start = seconds_now();
  const Batch batch = to_device(source_.next(), device_);
  waited_ += seconds_now() - start;

  Rng rng(seed_of(micro));
  StepContext context;
  context.step = step_;
  context.epoch = epoch();
  context.step_in_epoch = step_in_epoch();
  context.steps_per_epoch = steps_per_epoch_;
  context.total_steps = total_steps_;
  context.micro_batch = micro;
  context.rng = &rng;
  Losses losses;
  {
    const Bf16Scope scope(bf16_);
    losses = task_.step(batch, context);
  }
  readings_.add(losses);
  if (device_.is_cpu()) stop_if_not_finite(readings_.last_losses(), step_ + 1);
  torch::autograd::backward({accumulate_ == 1 ? losses.total : losses.total / accumulate_});
  task_.after_backward();
  return batch.size();
}

/// Rank 0 of a group draws as one that is alone.
std::uint64_t TrainingRun::seed_of(std::int64_t micro) const {
  const auto seed = static_cast<std::uint64_t>(options_.length.seed), step = static_cast<std::uint64_t>(step_),
             part = static_cast<std::uint64_t>(micro), rank = static_cast<std::uint64_t>(group_.rank());
  return rank == 0 ? mix_seed({seed, step, part}) : mix_seed({seed, step, part, rank});
}

/// Logs the steps whose losses have arrived: the last one, or on devices other than the processor the one before.
void TrainingRun::record(bool wait) {
  for (const StepRecord& r : readings_.take(wait)) {
    stop_if_not_finite(r.losses, r.step);
    if (recorder_) recorder_->write(r, step_seconds_);
    if (setup_.on_log) setup_.on_log(r);
  }
}

void TrainingRun::stop_if_not_finite(const NamedValues& values, std::int64_t step) const {
  const auto bad = first_not_finite(values);
  if (!bad) return;
  throw Error(
      fmt::format("step {}: {} is {}. Training has stopped and nothing was saved after it; the last good checkpoint "
                  "is {}. Lower optimizer.lr or set optimizer.clip_norm, then {}",
                  step, bad->first == "grad_norm" ? "the norm of the gradients" : "loss '" + bad->first + "'",
                  bad->second, checkpoint_name(), last_checkpoint_.empty() ? "start again" : "resume"));
}

bool TrainingRun::checkpoint_due() const {
  const std::int64_t steps = options_.checkpoint.every_steps,
                     epoch_steps = options_.checkpoint.every_epochs * steps_per_epoch_;
  return step_ == total_steps_ || (steps > 0 && step_ % steps == 0) || (epoch_steps > 0 && step_ % epoch_steps == 0);
}

void TrainingRun::save() {
  record(/*wait=*/true);             // a loss that is not finite must be noticed before its weights are saved
  if (recorder_) recorder_->sync();  // the curve up to here must be on the disk when the checkpoint is
  if (group_.is_writer()) {
    save_checkpoint(setup_.out, task_, *optimizer_, state());
    prune_checkpoints(setup_.out, options_.checkpoint.keep, best_step());
  }
  group_.barrier();  // complete for everyone, or all end with the writer's error
  last_checkpoint_ = checkpoint_path(setup_.out, step_);
  saved_step_ = step_;
  if (!setup_.on_checkpoint) return;
  if (asked_to_stop() != 0) {
    if (group_.is_writer()) log::info("asked to stop: what is done at a checkpoint (an evaluation) is left out");
    return;
  }
  // It may take long, and the checkpoint is complete: a signal ends the process there and then.
  std::optional<StopSignals::AtOnce> at_once;
  if (caught_) at_once.emplace();
  setup_.on_checkpoint(last_checkpoint_, step_);
}

TrainState TrainingRun::state() const {
  TrainState state;
  state.step = step_;
  state.epoch = epoch();
  state.batch_in_epoch = step_in_epoch() * accumulate_;
  state.batches_per_epoch = batches_per_epoch_;
  state.seed = options_.length.seed;
  state.precision = bf16_ ? Precision::kBf16 : Precision::kFp32;
  state.matmul_kernel = matmul_kernel();
  state.threads = at::get_num_threads();
  state.processes = group_.size();
  state.seconds = seconds();
  state.skipped = skipped_;
  return state;
}

/// Of parameters that first learn after that share of the run.
double TrainingRun::lr_of(double begins) const {
  const bool own = options_.schedule.late_parts == LateParts::kOwn;
  const auto first = own ? static_cast<std::int64_t>(std::ceil(begins * static_cast<double>(total_steps_))) : 0;
  return learning_rate(options_.schedule, options_.optimizer.lr,
                       {.step = std::max<std::int64_t>(0, step_ - first),
                        .epoch = epoch(),
                        .step_in_epoch = step_in_epoch(),
                        .total_steps = total_steps_ - first,
                        .epochs = options_.length.epochs});
}

}  // namespace

RunResult run_training(Task& task, BatchSource& source, const TrainOptions& options, const RunSetup& setup) {
  return TrainingRun(task, source, options, setup).run();
}

}  // namespace vicha
