// A task and a source small enough to train hundreds of times in a test: a regression through the real operations.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "nn/linear.h"
#include "train/task.h"

namespace vicha {

struct TinyOptions {
  std::int64_t width = 16;
  double dropout = 0.2;
  double pull = 0.1;  ///< weight of the distance to the momentum copy
};

/// Image (B, 3, 2, 2) -> 12 -> 16 -> 1, dropout from the step's generator, a momentum copy and a pointer as the real
/// task has.
class TinyTask : public Task {
 public:
  explicit TinyTask(const TinyOptions& options = {})
      : options_(options),
        store_(1),
        first_{store_.add("first.weight", {options.width, 12}, Init::kLinearDefault, 12),
               store_.add("first.bias", {options.width}, Init::kZeros)},
        second_{store_.add("second.weight", {1, options.width}, Init::kLinearDefault, options.width), {}},
        momentum_(store_.add_buffer("first_m.weight", first_.weight.detach().clone())) {
    store_.add("never_used.weight", {3, 3}, Init::kOnes);
    store_.alias("tied.weight", "second.weight");
  }

  Losses step(const Batch& batch, const StepContext& context) override {
    {
      const at::NoGradGuard no_grad;
      momentum_.mul_(0.9).add_(first_.weight.detach(), 0.1);
    }
    seen_ += batch.size();
    at::Tensor hidden = at::relu(first_(batch.image.flatten(1)));
    if (options_.dropout > 0.0) {
      at::Tensor keep = at::empty(hidden.sizes(), at::kFloat);
      for (std::int64_t i = 0; i < keep.numel(); ++i) {
        keep.data_ptr<float>()[i] = context.rng->chance(options_.dropout) ? 0.0f : 1.0f;
      }
      hidden = hidden * keep;
    }
    const at::Tensor error = second_(hidden).squeeze(1) - batch.image_ids.to(at::kFloat);
    at::Tensor square = error.square().mean();
    if (poison_step && *poison_step == context.step) square = square / 0.0;
    const at::Tensor away = (first_.weight - momentum_).square().sum();
    Losses losses;
    losses.total = square + options_.pull * away;
    losses.terms = {{"square", square.detach()}, {"away", away.detach()}};
    losses.measures = {{"norm", first_.weight.detach().norm()}};
    return losses;
  }
  ParameterStore& parameters() override { return store_; }
  void save_state(StateDict& state) const override { state.set("seen", at::scalar_tensor(seen_, at::kLong)); }
  void load_state(const StateDict& state) override { seen_ = state.at("seen", "task").item<std::int64_t>(); }
  std::string config_json() const override { return config; }
  std::string recipe_toml() const override { return "[tiny]\nwidth = 16\n"; }

  std::int64_t seen() const { return seen_; }

  std::optional<std::int64_t> poison_step;  ///< the step whose loss is made infinite
  std::string config = R"({"tiny": {"width": 16}, "optimizer": {"lr": 0.01}})";

 private:
  TinyOptions options_;
  ParameterStore store_;
  Linear first_, second_;
  at::Tensor momentum_;
  std::int64_t seen_ = 0;
};

/// Batches that follow from (epoch, batch) alone. Of `world` ranks with batches of n each has its part of what one
/// would have in batches of world * n.
class TinySource : public BatchSource {
 public:
  TinySource(std::int64_t batches, std::int64_t batch_size, std::int64_t rank = 0, std::int64_t world = 1)
      : batches_(batches), batch_size_(batch_size), rank_(rank), world_(world) {}

  std::int64_t batches_per_epoch() const override { return batches_; }
  void seek(std::int64_t epoch, std::int64_t batch) override {
    epoch_ = epoch;
    batch_ = batch;
  }
  Batch next() override {
    std::this_thread::sleep_for(delay);
    Batch batch;
    batch.image = at::empty({batch_size_, 3, 2, 2});
    batch.image_ids = at::empty({batch_size_}, at::kLong);
    for (std::int64_t b = 0; b < batch_size_; ++b) {
      // Samples are numbered within the epoch, so that two batches of n hold what one of 2 n holds.
      const std::int64_t sample = (batch_ * world_ + rank_) * batch_size_ + b;
      Rng rng(mix_seed({77, static_cast<std::uint64_t>(epoch_), static_cast<std::uint64_t>(sample)}));
      double sum = 0.0;
      for (std::int64_t i = 0; i < 12; ++i) {
        const double x = rng.normal();
        batch.image.data_ptr<float>()[b * 12 + i] = static_cast<float>(x);
        sum += x;
      }
      batch.image_ids.data_ptr<std::int64_t>()[b] = sum > 0.0 ? 1 : 0;
    }
    if (++batch_ == batches_) seek(epoch_ + 1, 0);
    return batch;
  }

  std::int64_t skipped() const override { return bad_samples; }

  std::chrono::milliseconds delay{0};
  std::int64_t bad_samples = 0;

 private:
  std::int64_t batches_, batch_size_, rank_, world_, epoch_ = 0, batch_ = 0;
};

}  // namespace vicha
