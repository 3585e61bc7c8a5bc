// Heads trained by the real loop on features that belong together by construction.
#include "align/align_task.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <csignal>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "align/align_bench.h"
#include "base/error.h"
#include "base/files.h"
#include "checkpoint/safetensors/safetensors.h"
#include "config/serialize.h"
#include "distributed/thread_group_test_support.h"
#include "train/checkpoint_folder.h"
#include "train/loop.h"
#include "train/loop_test_support.h"

namespace vicha {
namespace {

/// A hidden point for each item, seen through a random map on each side, with noise; texts in fp16.
struct HiddenPoints {
  FeatureMatrix image, text;
  std::vector<FeaturePair> pairs;

  explicit HiddenPoints(std::int64_t items, std::int64_t first = 0)
      : image(at::zeros({1, 1}), ""), text(at::zeros({1, 1}), "") {
    at::manual_seed(8);
    const at::Tensor to_image = at::randn({6, 20}), to_text = at::randn({6, 12});
    at::manual_seed(static_cast<std::uint64_t>(100 + first));
    const at::Tensor hidden = at::randn({items, 6});
    const auto seen = [&](const at::Tensor& map) {
      const at::Tensor x = at::mm(hidden, map);
      return x.relu() * 3.0 + 5.0 + 0.1 * at::randn_like(x);
    };
    image = FeatureMatrix(seen(to_image), "images");
    text = FeatureMatrix(seen(to_text).to(at::kHalf), "texts");
    for (std::int64_t i = 0; i < items; ++i) pairs.push_back({.image = i, .text = i, .group = i});
  }
};

/// Share of texts whose own image is the most similar of all.
double recall_at_1(const AlignModel& model, const HiddenPoints& data) {
  const at::Tensor best = at::mm(model.embed_texts(data.text), model.embed_images(data.image).t()).argmax(1);
  return best.eq(at::arange(best.size(0))).to(at::kDouble).mean().item<double>();
}

AlignOptions small_align() {
  AlignOptions o;
  o.embed_dim = 16;
  o.contrast.tile = 24;
  return o;
}

TrainOptions short_run(std::int64_t steps) {
  TrainOptions o = small_options();
  o.length.max_steps = steps;
  o.optimizer.lr = 3e-3;
  o.checkpoint = {.every_steps = 10, .every_epochs = 0, .keep = 2};
  return o;
}

class Align : public LoopFolder {
 protected:
  Align() : data_(200), validation_(100, 7) {}

  struct Run {
    RunResult result;
    std::vector<StepRecord> steps;
    double recall = 0.0;
  };
  struct Extra {
    std::function<void(RunSetup&)> prepare = {};
    std::int64_t patience = 0;
    std::function<double(std::int64_t)> score = {};
  };

  Run train(const char* name, const AlignOptions& options, const TrainOptions& training, const Extra& extra,
            const Group& group = Group::alone(), std::int64_t batch = 50) {
    AlignModel model(options, {20, 12}, 3);
    model.set_moments(feature_moments(data_.image), feature_moments(data_.text));
    FeatureBatchSource source(data_.image, data_.text, data_.pairs, {.batch_size = batch}, 5, group);
    Run run;
    if (group.is_writer()) scores_.clear();
    EarlyStop stop({.patience = extra.patience}, [&](std::int64_t step) {
      const double score = extra.score ? extra.score(step) : recall_at_1(model, validation_);
      if (group.is_writer()) scores_.emplace_back(step, score);
      return score;
    });
    AlignTask task(model, {.config_json = to_json(options)}, group, &stop);
    RunSetup setup{.out = folder_ / name, .device = "cpu", .group = group, .validation = &stop};
    setup.on_log = [&](const StepRecord& r) { run.steps.push_back(r); };
    if (!group.is_alone()) setup.stop_signal = [] { return 0; };
    if (extra.prepare) extra.prepare(setup);
    run.result = run_training(task, source, training, setup);
    run.recall = recall_at_1(model, validation_);
    return run;
  }
  Run train(const char* name, const AlignOptions& options, const TrainOptions& training) {
    return train(name, options, training, Extra{});
  }

  HiddenPoints data_, validation_;
  std::vector<std::pair<std::int64_t, double>> scores_;
};

double measure(const StepRecord& r, const std::string& name) {
  for (const auto& [key, value] : r.measures) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no measure " << name;
  return NAN;
}

TEST_F(Align, LearnsWhatBelongsTogether) {
  for (const ContrastLoss loss : {ContrastLoss::kInfoNce, ContrastLoss::kSigmoid}) {
    for (const double ema : {0.0, 0.9}) {
      AlignOptions options = small_align();
      options.contrast.loss = loss;
      options.ema = ema;
      if (loss == ContrastLoss::kSigmoid) options.contrast.temperature = 0.1;
      const Run run = train("learns", options, short_run(120));
      EXPECT_GT(run.recall, 0.6) << ema;  // chance: 0.01
      EXPECT_LT(run.steps.back().losses[0].second, 0.5 * run.steps.front().losses[0].second);
      EXPECT_GT(measure(run.steps.back(), "image_accuracy"), 0.5);
      EXPECT_GT(measure(run.steps.back(), "text_accuracy"), 0.5);
      EXPECT_GE(measure(run.steps.back(), "temperature"), 0.0099);
      if (loss == ContrastLoss::kSigmoid) {
        EXPECT_NE(measure(run.steps.back(), "bias"), -10.0);
      }
      fs::remove_all(folder_);
    }
  }
}

TEST_F(Align, TemperatureStopsAtItsLeast) {
  AlignOptions options = small_align();
  options.contrast.min_temperature = 0.2;
  options.contrast.temperature = 0.1;
  const Run run = train("clamped", options, short_run(30));
  for (const StepRecord& r : run.steps) EXPECT_GE(measure(r, "temperature"), 0.2 - 1e-6);
}

TEST_F(Align, ACheckpointIsAllOfTheModel) {
  AlignOptions options = small_align();
  options.ema = 0.9;
  const Run run = train("kept", options, short_run(20));
  AlignModel again(options, {20, 12}, 99);
  EXPECT_NE(recall_at_1(again, validation_), run.recall);
  load_model(run.result.last_checkpoint / "model.safetensors", again.parameters());
  EXPECT_EQ(recall_at_1(again, validation_), run.recall);
  // The means are what embeds, and they are not the last step's heads.
  const StateDict stored = read_safetensors(run.result.last_checkpoint / "model.safetensors");
  EXPECT_FALSE(stored.at("image_head.embed.weight").equal(stored.at("image_head_m.embed.weight")));
  EXPECT_EQ(again.parameters().scopes(), (std::vector<std::string>{"heads", "image_head", "text_head", "contrast"}));
}

TEST_F(Align, StoppedAndResumedItEndsWithTheSameBits) {
  AlignOptions options = small_align();
  options.ema = 0.9;
  const TrainOptions training = short_run(30);
  const Run whole = train("whole", options, training);
  const auto whole_scores = scores_;
  ASSERT_EQ(whole_scores.size(), 3u);
  for (const std::int64_t at : {3, 10, 17}) {
    fs::remove_all(folder_ / "parts");
    const Run first =
        train("parts", options, training, {.prepare = [&](RunSetup& setup) {
                setup.stop_signal = [&, calls = std::int64_t{0}]() mutable { return calls++ == at ? SIGTERM : 0; };
              }});
    EXPECT_FALSE(first.result.finished);
    EXPECT_EQ(first.result.step, at);
    auto scores = scores_;
    const Run rest = train("parts", options, training);
    scores.insert(scores.end(), scores_.begin(), scores_.end());
    EXPECT_EQ(scores, whole_scores);
    expect_same_checkpoints(step("whole", "step-000030"), step("parts", "step-000030"));
    EXPECT_EQ(timeless_metrics(folder_ / "parts"), timeless_metrics(folder_ / "whole"));
    EXPECT_EQ(rest.recall, whole.recall);
  }
}

TEST_F(Align, EndsWhenItBecomesNoBetterAndKeepsTheBest) {
  const auto score = [](std::int64_t step) { return step == 20 ? 1.0 : 0.001 * static_cast<double>(step); };
  TrainOptions training = short_run(200);
  training.checkpoint.keep = 1;
  const Run run = train("early", small_align(), training, {.patience = 3, .score = score});
  EXPECT_TRUE(run.result.finished);
  EXPECT_TRUE(run.result.enough);
  EXPECT_EQ(run.result.step, 50);  // 30, 40 and 50 were no better than 20
  EXPECT_EQ(run.result.best_checkpoint, step("early", "step-000020"));
  EXPECT_TRUE(fs::exists(run.result.best_checkpoint));
  EXPECT_EQ(list_checkpoints(folder_ / "early").size(), 2u);
  // Resumed it is as finished as before; with more patience it goes on.
  const Run again = train("early", small_align(), training, {.patience = 3, .score = score});
  EXPECT_EQ(again.result.step, 50);
  EXPECT_TRUE(again.result.enough);
  EXPECT_TRUE(again.steps.empty() && scores_.empty());
  const Run longer = train("early", small_align(), training, {.patience = 5, .score = score});
  EXPECT_EQ(longer.result.step, 70);
  EXPECT_EQ(longer.result.best_checkpoint, step("early", "step-000020"));
}

TEST_F(Align, TwoRanksLearnWhatOneLearnsFromTheJoinedBatch) {
  AlignOptions options = small_align();
  options.image_head.dropout = options.text_head.dropout = 0.0;  // draws of ranks differ
  const TrainOptions training = short_run(20);
  const Run joined = train("joined", options, training, Extra{}, Group::alone(), 50);
  std::array<Run, 2> ranks;
  const auto errors = run_ranks(2, [&](const Group& group) {
    ranks[static_cast<std::size_t>(group.rank())] =
        train("ranks", options, training, {.score = [](std::int64_t) { return 0.0; }}, group, 25);
  });
  ASSERT_EQ(errors, std::vector<std::string>(2));
  for (const Run& rank : ranks) {
    ASSERT_EQ(rank.steps.size(), joined.steps.size());
    for (std::size_t i = 0; i < joined.steps.size(); ++i) {
      EXPECT_NEAR(rank.steps[i].losses[0].second, joined.steps[i].losses[0].second, 2e-3) << i;
    }
  }
  EXPECT_NEAR(ranks[0].steps[0].losses[0].second, joined.steps[0].losses[0].second, 1e-5);
}

TEST_F(Align, TheBenchmarkTakesTheStepsItIsAskedFor) {
  const bench::AlignBench options{.pairs = 256,
                                  .image_width = 20,
                                  .text_width = 10,
                                  .embed_dim = 16,
                                  .batch = 32,
                                  .steps = 0,
                                  .warmup = 1,
                                  .captions = 3,
                                  .precision = "fp32"};
  const bench::AlignBenchResult result = bench::bench_align_steps(options);
  EXPECT_EQ(result.seconds.size(), 8u);
  EXPECT_GT(result.samples_per_s, 0.0);
  EXPECT_GT(result.last_loss, 0.0);
  bench::AlignBench bad = options;
  bad.precision = "fp64";
  EXPECT_THROW(bench::bench_align_steps(bad), UsageError);
  bad = options;
  bad.batch = 257;
  EXPECT_THROW(bench::bench_align_steps(bad), UsageError);
}

TEST(AlignOptions, AreDescribed) {
  AlignOptions options;
  apply_overrides(options, {"contrast.loss=sigmoid", "image_head.blocks=2", "ema=0.99"});
  EXPECT_EQ(options.contrast.loss, ContrastLoss::kSigmoid);
  EXPECT_EQ(options.image_head.blocks, 2);
  EXPECT_THROW(apply_override(options, "contrast.temperature=0"), UsageError);
  EXPECT_THROW(apply_override(options, "text_head.dropout=1"), UsageError);
}

}  // namespace
}  // namespace vicha
