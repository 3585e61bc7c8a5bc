// Ends a run when a score has not improved for some time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "checkpoint/tensors/state_dict.h"
#include "config/describe.h"
#include "train/validation.h"

namespace vicha {

struct EarlyStopOptions {
  std::int64_t patience = 0;
  double least_gain = 0.0;

  void describe(Visitor& v) {
    v.field({.key = "patience",
             .unit = "checkpoints",
             .meaning = "The run ends when so many in a row were no better than the best before; 0: never",
             .min = 0},
            patience);
    v.field({.key = "least_gain", .meaning = "What a score must be above the best by to be better", .min = 0},
            least_gain);
  }
};

/// Scores each checkpoint; the greater the better, NaN is never better.
class EarlyStop : public Validation {
 public:
  /// `score` must come to the same number on every rank.
  EarlyStop(const EarlyStopOptions& options, std::function<double(std::int64_t step)> score);

  void judge(std::int64_t step) override;
  bool enough() const override { return options_.patience > 0 && waited_ >= options_.patience; }
  std::optional<std::int64_t> best_step() const override { return best_step_; }

  std::optional<double> best_score() const { return best_step_ ? std::optional(best_) : std::nullopt; }
  std::optional<double> last_score() const { return last_; }

  /// For the task's state: "early_stop.…".
  void save_state(StateDict& state) const;
  /// Of a state without it: as if nothing had been judged.
  void load_state(const StateDict& state);

 private:
  EarlyStopOptions options_;
  std::function<double(std::int64_t)> score_;
  double best_ = 0.0;
  std::optional<std::int64_t> best_step_;
  std::optional<double> last_;
  std::int64_t waited_ = 0;  ///< judgements since the best
};

}  // namespace vicha
