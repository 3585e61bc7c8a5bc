// What a recipe says about training as such: length, optimiser, schedule, checkpoints, log. The batch's size belongs to
// the data.
#pragma once

#include <cstdint>

#include "config/describe.h"

namespace vicha {

/// Type of the matrix products.
enum class Precision { kAuto, kFp32, kBf16 };
inline constexpr Choice<Precision> kPrecisionNames[] = {
    {"auto", Precision::kAuto}, {"fp32", Precision::kFp32}, {"bf16", Precision::kBf16}};

struct LengthOptions {
  std::int64_t seed = 42;
  std::int64_t epochs = 30;
  std::int64_t max_steps = 0;
  Precision precision = Precision::kAuto;

  void describe(Visitor& v) {
    v.field({.key = "seed", .meaning = "Every random choice of the run follows from it", .min = 0}, seed);
    v.field({.key = "epochs", .unit = "epochs", .meaning = "Length of the run", .min = 1}, epochs);
    v.field({.key = "max_steps",
             .unit = "steps",
             .meaning = "Length of the run in place of the epochs; 0: by epochs",
             .min = 0},
            max_steps);
    v.choice(
        {.key = "precision", .meaning = "Type of the matrix products; auto: bf16 where it was measured to be faster"},
        precision, kPrecisionNames);
  }
};

/// AdamW; parameters with one dimension and biases are not decayed.
struct OptimizerOptions {
  double lr = 1e-4;
  double weight_decay = 0.02;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double clip_norm = 0.0;
  std::int64_t accumulate = 1;

  void describe(Visitor& v) {
    v.field({.key = "lr", .meaning = "Learning rate after the warm-up", .min = 0}, lr);
    v.field({.key = "weight_decay", .meaning = "Decoupled decay of matrices and embeddings", .min = 0}, weight_decay);
    v.field({.key = "beta1", .meaning = "Decay rate of the gradients' mean", .min = 0, .max = 0.999999}, beta1);
    v.field({.key = "beta2", .meaning = "Decay rate of the squared gradients' mean", .min = 0, .max = 0.99999999},
            beta2);
    v.field({.key = "eps", .meaning = "Added to the root of the squared gradients' mean", .min = 1e-20}, eps);
    v.field({.key = "clip_norm", .meaning = "Largest norm of all gradients together; 0: not clipped", .min = 0},
            clip_norm);
    v.field({.key = "accumulate",
             .unit = "batches",
             .meaning = "Batches whose gradients are averaged for one optimiser step",
             .min = 1},
            accumulate);
  }
};

/// Curves of the learning rate: schedule.h.
enum class ScheduleKind { kReleased, kStep, kConstant };
inline constexpr Choice<ScheduleKind> kScheduleKindNames[] = {
    {"released", ScheduleKind::kReleased}, {"step", ScheduleKind::kStep}, {"constant", ScheduleKind::kConstant}};

/// The curve of what sets in later: the run's, or that curve drawn over its own share of the run.
enum class LateParts { kRun, kOwn };
inline constexpr Choice<LateParts> kLatePartsNames[] = {{"run", LateParts::kRun}, {"own", LateParts::kOwn}};

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::kReleased;
  double warmup_lr = 1e-5;
  double min_lr = 1e-5;
  std::int64_t warmup = 20;
  double warmup_share = 0.0;
  LateParts late_parts = LateParts::kRun;

  void describe(Visitor& v) {
    v.choice({.key = "kind",
              .meaning = "Curve of the learning rate: as the released models had it (steps of 100 in the first epoch, "
                         "then one value an epoch), smooth from step to step, or constant after the warm-up"},
             kind, kScheduleKindNames);
    v.field({.key = "warmup_lr", .meaning = "Learning rate at the start of the warm-up", .min = 0}, warmup_lr);
    v.field({.key = "min_lr", .meaning = "Learning rate that the cosine goes down to", .min = 0}, min_lr);
    v.field({.key = "warmup", .unit = "hundreds of steps", .meaning = "Length of the warm-up", .min = 0}, warmup);
    v.field({.key = "warmup_share",
             .unit = "share of the run",
             .meaning = "Length of the warm-up in place of warmup, not for kind = \"released\"; 0: as warmup says",
             .min = 0,
             .max = 1},
            warmup_share);
    v.choice(
        {.key = "late_parts",
         .meaning = "What serves only objectives that set in later (fusion, heads, MAE decoder) follows the run's "
                    "curve, or that curve drawn over its own share of the run; own is not for kind = \"released\""},
        late_parts, kLatePartsNames);
  }
};

struct CheckpointOptions {
  std::int64_t every_steps = 1000;
  std::int64_t every_epochs = 1;
  std::int64_t keep = 2;

  void describe(Visitor& v) {
    v.field(
        {.key = "every_steps", .unit = "steps", .meaning = "A checkpoint after every so many steps; 0: none", .min = 0},
        every_steps);
    v.field({.key = "every_epochs",
             .unit = "epochs",
             .meaning = "A checkpoint after every so many epochs; 0: none",
             .min = 0},
            every_epochs);
    v.field({.key = "keep", .unit = "checkpoints", .meaning = "The newest that are kept; 0: all", .min = 0}, keep);
  }
};

struct LogOptions {
  std::int64_t every_steps = 50;
  std::int64_t metrics_every_steps = 1;
  bool tensorboard = true;

  void describe(Visitor& v) {
    v.field({.key = "every_steps", .unit = "steps", .meaning = "Steps from one line of the log to the next", .min = 1},
            every_steps);
    v.field({.key = "metrics_every_steps",
             .unit = "steps",
             .meaning = "Steps from one line of metrics.jsonl (and TensorBoard point) to the next",
             .min = 1},
            metrics_every_steps);
    v.field({.key = "tensorboard", .meaning = "Also write event files for TensorBoard, in DIR/tensorboard"},
            tensorboard);
  }
};

struct TrainOptions {
  LengthOptions length;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  CheckpointOptions checkpoint;
  LogOptions log;

  /// Describes five sections of the recipe's root: a recipe calls `train.describe(v)`, not `v.section(…)`.
  void describe(Visitor& v) {
    v.section("train", "Length and precision of the run", length);
    v.section("optimizer", "AdamW", optimizer);
    v.section("schedule", "Learning rate over the run", schedule);
    v.section("checkpoint", "Checkpoints", checkpoint);
    v.section("log", "Log and curves", log);
  }
};

}  // namespace vicha
