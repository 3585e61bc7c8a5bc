#include "align/align_bench.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "align/align_task.h"
#include "base/error.h"
#include "nn/precision.h"
#include "train/adamw.h"
#include "train/device.h"

namespace vicha::bench {
namespace {

double clock_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Made block by block: a million of them in fp32 would need twice the memory of the features themselves.
FeatureMatrix synthetic_features(std::int64_t rows, std::int64_t width, const char* name) {
  const at::Tensor features = at::empty({rows, width}, at::kHalf);
  for (std::int64_t begin = 0; begin < rows; begin += 16384) {
    const at::Tensor part = features.slice(0, begin, std::min(rows, begin + 16384));
    part.copy_(at::randn(part.sizes()));
  }
  return FeatureMatrix(features, name);
}

}  // namespace

AlignBenchResult bench_align_steps(const AlignBench& options) {
  if (options.pairs < options.batch) {
    throw UsageError(fmt::format("{} pairs are fewer than the {} of a batch", options.pairs, options.batch));
  }
  AlignBenchResult result;
  result.bf16 = use_bf16(parse_precision(options.precision), at::kCPU);
  at::manual_seed(0);
  const std::int64_t texts = (options.pairs + options.captions - 1) / options.captions;
  const FeatureMatrix image = synthetic_features(options.pairs, options.image_width, "images"),
                      text = synthetic_features(texts, options.text_width, "texts");
  std::vector<FeaturePair> pairs(static_cast<std::size_t>(options.pairs));
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto number = static_cast<std::int64_t>(i);
    pairs[i] = {.image = number, .text = number / options.captions};
  }
  set_groups(pairs, PairPositives::kText);
  FeatureBatchSource source(image, text, std::move(pairs), {.batch_size = options.batch}, 0);

  AlignOptions align;
  align.embed_dim = options.embed_dim;
  align.image_head.blocks = align.text_head.blocks = options.blocks;
  align.contrast.loss = options.loss;
  AlignModel model(align, {options.image_width, options.text_width}, 0);
  AlignTask task(model, {});
  AdamW optimizer(task.parameters(), OptimizerOptions{});
  const std::int64_t steps = options.steps > 0 ? options.steps : source.batches_per_epoch();
  for (std::int64_t i = 0; i < options.warmup + steps; ++i) {
    if (i == options.warmup) source.seek(1, 0);
    Rng rng(static_cast<std::uint64_t>(i));
    StepContext context;
    context.step = i;
    context.rng = &rng;
    const double start = clock_seconds();
    const Batch batch = source.next();
    Losses losses;
    {
      const Bf16Scope scope(result.bf16);
      losses = task.step(batch, context);
    }
    torch::autograd::backward({losses.total});
    optimizer.step(1e-4);
    optimizer.clear_gradients();
    const double end = clock_seconds();
    result.last_loss = losses.total.item<double>();
    if (!std::isfinite(result.last_loss)) throw Error("the loss is not finite");
    if (i >= options.warmup) result.seconds.push_back(end - start);
  }
  const double total = std::accumulate(result.seconds.begin(), result.seconds.end(), 0.0);
  result.samples_per_s = static_cast<double>(options.batch * steps) / total;
  return result;
}

}  // namespace vicha::bench
