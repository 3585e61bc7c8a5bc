// What tells a run at its checkpoints how good it is, which of them to keep and when to end.
#pragma once

#include <cstdint>
#include <optional>

namespace vicha {

class Validation {
 public:
  virtual ~Validation() = default;
  /// Called on every rank before a checkpoint that the options ask for is written (not before the one of a signal,
  /// which an undisturbed run would not have). What it learns belongs into the task's state: it is saved with the
  /// checkpoint, so that a killed run comes to the same judgements.
  virtual void judge(std::int64_t step) = 0;
  /// Whether the run ends here. Asked at the start, when a resumed run's state has been restored, and after each
  /// checkpoint; follows from the task's state alone. One rank's yes ends all.
  virtual bool enough() const = 0;
  /// The step of the best checkpoint so far, which is kept however old it becomes.
  virtual std::optional<std::int64_t> best_step() const = 0;
};

}  // namespace vicha
