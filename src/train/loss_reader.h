// Brings a step's scalars to the host. On the CPU they are available immediately; on other devices they are copied
// without waiting and read one step later, so that the host never stalls the device. In a group they are means over the
// ranks.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "distributed/group.h"
#include "train/metrics.h"
#include "train/task.h"

namespace vicha {

/// The first value that is NaN or infinite, if any.
std::optional<std::pair<std::string, double>> first_not_finite(const NamedValues& values);

class LossReader {
 public:
  /// `group` must outlive this.
  LossReader(const at::Device& device, const Group& group) : device_(device), group_(group) {}

  /// The scalars of one micro-batch of the open step. Every micro-batch of a step must have the same ones.
  void add(const Losses& losses);
  /// A scalar of the whole step, the same on every rank.
  void add_measure(const std::string& name, const at::Tensor& scalar);
  /// This rank's losses of the micro-batch added last, "total" first. Only on the processor.
  NamedValues last_losses() const;

  /// Ends the open step, whose other fields are in `record`: every rank calls it.
  void close(StepRecord record);
  /// Ended steps with their losses and measures, means over their micro-batches, each once and in order: all of them,
  /// or on devices other than the processor, unless `wait`, all but the last.
  std::vector<StepRecord> take(bool wait);

 private:
  struct Step {
    StepRecord record;
    std::vector<std::string> losses, measures, step_measures;  ///< names
    std::vector<at::Tensor> values;                            ///< one fp64 vector a micro-batch, losses then measures
    std::vector<at::Tensor> step_values;
    std::unique_ptr<c10::Event> copied;
  };
  at::Tensor to_host(const at::Tensor& scalars) const;
  static StepRecord read(Step& step);

  at::Device device_;
  const Group& group_;
  Step open_;
  std::deque<Step> closed_;
};

}  // namespace vicha
