#include "train/early_stop.h"

#include <ATen/ATen.h>

#include <utility>

namespace vicha {
namespace {
constexpr const char *kBest = "early_stop.best", *kBestStep = "early_stop.best_step", *kWaited = "early_stop.waited";
}

EarlyStop::EarlyStop(const EarlyStopOptions& options, std::function<double(std::int64_t)> score)
    : options_(options), score_(std::move(score)) {}

void EarlyStop::judge(std::int64_t step) {
  const double score = score_(step);
  last_ = score;
  if (best_step_ ? score > best_ + options_.least_gain : score == score) {
    best_ = score;
    best_step_ = step;
    waited_ = 0;
  } else {
    ++waited_;
  }
}

void EarlyStop::save_state(StateDict& state) const {
  state.set(kWaited, at::scalar_tensor(waited_, at::kLong));
  state.set(kBest, at::scalar_tensor(best_, at::kDouble));
  state.set(kBestStep, at::scalar_tensor(best_step_.value_or(-1), at::kLong));
}

void EarlyStop::load_state(const StateDict& state) {
  waited_ = 0;
  best_step_.reset();
  last_.reset();
  if (!state.contains(kBestStep)) return;
  waited_ = state.at(kWaited).item<std::int64_t>();
  best_ = state.at(kBest).item<double>();
  if (const auto step = state.at(kBestStep).item<std::int64_t>(); step >= 0) best_step_ = step;
}

}  // namespace vicha
