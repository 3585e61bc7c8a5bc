#include "benchmark/model_bench.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "benchmark/clock.h"
#include "benchmark/measures.h"
#include "benchmark/synthetic.h"
#include "models/pair_scorer.h"
#include "nn/kernel_choice.h"
#include "nn/operations.h"
#include "nn/precision.h"
#include "objectives/itm.h"
#include "objectives/pretrain_step.h"
#include "train/adamw.h"

namespace vicha::bench {
namespace {

bool use_bf16(const std::string& precision) {
  if (precision == "auto") return kernel_choice().bf16_is_faster;
  if (precision == "fp32" || precision == "bf16") return precision == "bf16";
  throw UsageError("unknown precision '" + precision + "': one of auto, fp32, bf16");
}

nlohmann::json common(const std::string& task, const std::string& config, std::int64_t image_res, bool bf16) {
  return {{"task", task},
          {"config", config},
          {"image_res", image_res},
          {"precision", bf16 ? "bf16" : "fp32"},
          {"threads", at::get_num_threads()},
          {"peak_rss_gib", peak_rss_gib()},
          {"kernels", kernel_choice().describe()}};
}

}  // namespace

std::string bench_pretrain(const PretrainBench& options) {
  const SyntheticConfig config = synthetic_config(options.config, options.image_res, options.queue);
  const bool bf16 = use_bf16(options.precision);
  Vicha model(config.model, 0);
  const ObjectiveSet objectives(config.objectives, model);
  const PretrainStep step(config.objectives, objectives, model);
  const auto add_targets = step.target_makers();
  AdamW optimizer(model.parameters(), OptimizerOptions{});
  Rng rng(0);
  RandomDraws draws(rng);
  // Before the steps: who stops and continues this process takes the end of its output for that of the last step.
  const double rate = product_gflops(bf16);
  std::vector<double> seconds, forward, backward, update, operations;
  for (std::int64_t i = 0; i < options.warmup + options.steps; ++i) {
    Batch batch = synthetic_batch(config, options.batch, rng);  // making the batch is not timed, as in the peer
    for (const auto& add : add_targets) add(batch, rng);
    const std::int64_t before = product_operations();
    const double start = seconds_now();
    double middle, end_backward;
    {
      const Bf16Scope scope(bf16);
      model.update_momentum();
      const auto run = step.begin(batch, draws, 0.5, 0.4);
      const PretrainStep::Result losses = step.losses(*run);
      middle = seconds_now();
      torch::autograd::backward({losses.total});
      if (!std::isfinite(losses.total.item<double>())) throw Error("the loss is not finite");
      end_backward = seconds_now();
      const Encodings::Features& features = run->encodings.momentum().features;
      model.queue().push(features.image, features.text, {});
    }
    optimizer.step(1e-4);
    optimizer.clear_gradients();
    const double end = seconds_now();
    if (i < options.warmup) continue;
    seconds.push_back(end - start);
    forward.push_back(middle - start);
    backward.push_back(end_backward - middle);
    update.push_back(end - end_backward);
    operations.push_back(static_cast<double>(product_operations() - before));
  }
  const double typical = median(seconds), gflop = median(operations) * 1e-9;
  nlohmann::json result = common("pretrain", options.config, options.image_res, bf16);
  result["samples_per_s"] = rounded(static_cast<double>(options.batch) / typical, 3);
  result["seconds_per_step"] = rounded(typical, 4);
  result["best_seconds"] = rounded(*std::min_element(seconds.begin(), seconds.end()), 4);
  for (double& s : seconds) s = rounded(s, 4);
  result["all_seconds"] = seconds;
  result["batch"] = options.batch;
  result["queue"] = options.queue;
  result["gflop_per_sample"] = rounded(gflop / static_cast<double>(options.batch), 2);
  result["gflops"] = rounded(gflop / typical, 1);
  result["product_gflops"] = rounded(rate, 1);
  result["share_of_product_rate"] = rounded(gflop / typical / rate, 3);
  if (options.profile) {
    result["forward_seconds"] = rounded(median(forward), 4);
    result["backward_seconds"] = rounded(median(backward), 4);
    result["update_seconds"] = rounded(median(update), 4);
  }
  return result.dump();
}

std::string bench_retrieval(const RetrievalBench& options) {
  SyntheticConfig config = synthetic_config(options.config, options.image_res, 64);
  config.objectives.enable_only({});
  const bool bf16 = use_bf16(options.precision);
  Vicha model(config.model, 0);
  const ObjectiveSet objectives(config.objectives, model);
  const Linear& match_head = objectives.find<ItmObjective>()->head();
  const c10::InferenceMode guard;
  const Bf16Scope scope(bf16);
  Rng rng(0);
  const at::Tensor images = at::randn({options.images, 3, options.image_res, options.image_res});
  const Tokens concepts = synthetic_tokens(config.model.text, options.images, 35, 55, 55, rng);
  const Tokens texts = synthetic_tokens(config.model.text, options.captions, 8, 25, 25, rng);
  const auto part = [](const Tokens& t, std::int64_t begin, std::int64_t end) {
    return Tokens{t.ids.slice(0, begin, end), {t.lengths.begin() + begin, t.lengths.begin() + end}};
  };
  const auto encode = [&](PairScorer& scorer, std::int64_t count) {
    for (std::int64_t i = 0; i < count; i += options.batch) {
      const std::int64_t end = std::min(count, i + options.batch);
      scorer.add_images(images.slice(0, i, end), part(concepts, i, end));
    }
    for (std::int64_t i = 0; i < options.captions; i += 4 * options.batch) {
      scorer.add_texts(part(texts, i, std::min(options.captions, i + 4 * options.batch)));
    }
  };
  {
    PairScorer warm(model, match_head);
    encode(warm, std::min<std::int64_t>(4, options.images));
    warm.rerank(options.k_test);
  }
  PairScorer scorer(model, match_head);
  const double start = seconds_now();
  encode(scorer, options.images);
  const double middle = seconds_now();
  const std::int64_t before = product_operations();
  const PairScorer::Scores scores = scorer.rerank(options.k_test);
  const double end = seconds_now();
  nlohmann::json result = common("retrieval-eval", options.config, options.image_res, bf16);
  result["seconds"] = rounded(end - start, 3);
  result["encode_seconds"] = rounded(middle - start, 3);
  result["rerank_seconds"] = rounded(end - middle, 3);
  result["pairs"] = scores.pairs;
  result["pairs_per_s"] = rounded(static_cast<double>(scores.pairs) / (end - middle), 1);
  result["samples_per_s"] = rounded(static_cast<double>(options.images) / (middle - start), 3);
  result["gflops"] = rounded(static_cast<double>(product_operations() - before) * 1e-9 / (end - middle), 1);
  result["images"] = options.images;
  result["captions"] = options.captions;
  result["k_test"] = options.k_test;
  return result.dump();
}

}  // namespace vicha::bench
