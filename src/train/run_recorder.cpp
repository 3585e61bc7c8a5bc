#include "train/run_recorder.h"

namespace vicha {

RunRecorder::RunRecorder(const std::filesystem::path& out, const LogOptions& options, std::int64_t step,
                         std::int64_t total_steps, bool resumes)
    : metrics_every_steps_(options.metrics_every_steps),
      total_steps_(total_steps),
      metrics_(out / "metrics.jsonl", step),
      progress_(total_steps, options.every_steps) {
  if (options.tensorboard) events_.emplace(out / "tensorboard", resumes ? std::optional(step) : std::nullopt);
}

void RunRecorder::write(const StepRecord& record, double step_seconds) {
  if (record.step % metrics_every_steps_ == 0 || record.step == total_steps_) {
    metrics_.write(record);
    if (events_) events_->write(record);
  }
  progress_.update(record, step_seconds);
}

}  // namespace vicha
