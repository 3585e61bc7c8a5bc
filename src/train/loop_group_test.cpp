// Several ranks, here threads, in one run: what they learn, who writes, how they end.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <functional>

#include "checkpoint/safetensors/safetensors.h"
#include "distributed/thread_group_test_support.h"
#include "train/checkpoint_folder.h"
#include "train/group_sync.h"
#include "train/loop.h"
#include "train/loop_test_support.h"

namespace vicha {
namespace {

/// What one rank of a run, or a run alone, had to say.
struct Told {
  std::vector<StepRecord> steps;
  StateDict weights;
  RunResult result;
};

/// The first number that the generator of each step would give.
class DrawsRecorder : public TinyTask {
 public:
  using TinyTask::TinyTask;
  Losses step(const Batch& batch, const StepContext& context) override {
    Rng copy = *context.rng;
    draws.push_back(copy());
    return TinyTask::step(batch, context);
  }
  std::vector<std::uint64_t> draws;
};

class LoopGroup : public LoopFolder {
 protected:
  /// Called before a rank's run, which it may change.
  using Prepare = std::function<void(const Group&, DrawsRecorder&, TinySource&, RunSetup&)>;

  Told train_rank(const Group& group, const char* run, const TrainOptions& options, const TinyOptions& tiny,
                  std::int64_t batches, std::int64_t batch_size, const Prepare& prepare = {}) const {
    DrawsRecorder task(tiny);
    TinySource source(batches, batch_size, group.rank(), group.size());
    Told told;
    RunSetup setup{.out = folder_ / run,
                   .device = "cpu",
                   .group = group,
                   .on_log = [&](const StepRecord& r) { told.steps.push_back(r); },
                   .stop_signal = [] { return 0; }};
    if (prepare) prepare(group, task, source, setup);
    told.result = run_training(task, source, options, setup);
    for (const auto& r : task.parameters().released()) {
      told.weights.set(r.name, task.parameters().view(r).detach().clone());
    }
    return told;
  }

  /// Two ranks with batches of 4, three an epoch; what each threw.
  std::vector<std::string> train_two(const char* run, const TrainOptions& options = small_options(),
                                     const Prepare& prepare = {}) {
    return run_ranks(2, [&](const Group& group) {
      told_[static_cast<std::size_t>(group.rank())] = train_rank(group, run, options, {}, 3, 4, prepare);
    });
  }

  std::array<Told, 2> told_;
};

const std::vector<std::string> kNoErrors = {"", ""};

TEST_F(LoopGroup, TwoRanksLearnWhatOneLearnsFromTheJoinedBatch) {
  for (const std::int64_t accumulate : {1, 2}) {
    SCOPED_TRACE(accumulate);
    const TinyOptions tiny{.dropout = 0.0};
    TrainOptions options = small_options();
    options.optimizer.clip_norm = 0.5;  // bounds the first steps and not the last: the norm is that of the mean
    options.optimizer.accumulate = accumulate;
    const Told joined = train_rank(Group::alone(), "joined", options, tiny, 6, 8);
    std::array<Told, 2> ranks;
    const auto errors = run_ranks(2, [&](const Group& group) {
      ranks[static_cast<std::size_t>(group.rank())] = train_rank(
          group, "ranks", options, tiny, 6, 4, [](const Group& g, DrawsRecorder& task, TinySource& source, RunSetup&) {
            source.bad_samples = 1 + g.rank();
            // Weights that differ at the start become rank 0's.
            const at::NoGradGuard no_grad;
            if (!g.is_writer()) task.parameters().view(task.parameters().released()[0]).fill_(3.0);
          });
    });
    ASSERT_EQ(errors, kNoErrors);
    for (const Told& rank : ranks) {
      ASSERT_EQ(rank.steps.size(), 5u);
      for (std::size_t i = 0; i < 5; ++i) {
        const StepRecord &a = rank.steps[i], &b = joined.steps[i];
        ASSERT_EQ(a.losses.size(), b.losses.size());
        for (std::size_t k = 0; k < a.losses.size(); ++k) {
          EXPECT_NEAR(a.losses[k].second, b.losses[k].second, 1e-6) << i << a.losses[k].first;
        }
        ASSERT_EQ(a.measures.back().first, "grad_norm");
        EXPECT_NEAR(a.measures.back().second, b.measures.back().second, 1e-5) << i;
        EXPECT_EQ(a.lr, b.lr);
        EXPECT_EQ(a.skipped, 3);
      }
      for (const auto& [name, weight] : joined.weights) {
        EXPECT_TRUE(at::allclose(rank.weights.at(name), weight, 1e-5, 1e-6)) << name;
        EXPECT_TRUE(rank.weights.at(name).equal(ranks[0].weights.at(name))) << name;  // bit for bit
      }
    }
    fs::remove_all(folder_);
  }
}

TEST_F(LoopGroup, ARankLearnsFromTheOthers) {  // or the test above could pass with ranks that see the same
  TinySource first(3, 4, 0, 2), second(3, 4, 1, 2), joined(3, 8);
  const at::Tensor both = at::cat({first.next().image, second.next().image});
  EXPECT_TRUE(both.equal(joined.next().image));
  ASSERT_EQ(train_two("two"), kNoErrors);
  const Told alone = train_rank(Group::alone(), "alone", small_options(), {}, 3, 4);
  EXPECT_FALSE(alone.weights.at("first.weight").equal(told_[0].weights.at("first.weight")));
}

TEST_F(LoopGroup, TheWriterAloneWrites) {
  std::array<std::vector<std::int64_t>, 2> called;
  TrainOptions options = small_options();
  options.log.tensorboard = true;
  const auto prepare = [&](const Group& group, DrawsRecorder&, TinySource&, RunSetup& setup) {
    if (!group.is_writer()) setup.out = folder_ / "of_rank_1";
    setup.on_checkpoint = [&, rank = static_cast<std::size_t>(group.rank())](const fs::path& path, std::int64_t step) {
      EXPECT_TRUE(fs::exists(folder_ / "run/checkpoints" / path.filename() / "state.json"));  // complete for all ranks
      called[rank].push_back(step);
    };
  };
  ASSERT_EQ(train_two("run", options, prepare), kNoErrors);
  EXPECT_FALSE(fs::exists(folder_ / "of_rank_1"));
  EXPECT_EQ(list_checkpoints(folder_ / "run").size(), 5u);
  EXPECT_EQ(timeless_metrics(folder_ / "run").size(), 5u);
  EXPECT_FALSE(fs::is_empty(folder_ / "run/tensorboard"));
  for (const auto& steps : called) EXPECT_EQ(steps, (std::vector<std::int64_t>{1, 2, 3, 4, 5}));
}

TEST_F(LoopGroup, ResumedAtEveryStepItEndsWithTheSameBits) {
  ASSERT_EQ(train_two("whole"), kNoErrors);
  for (int k = 1; k <= 5; ++k) {
    SCOPED_TRACE(k);
    fs::remove_all(folder_ / "cut");
    fs::copy(folder_ / "whole", folder_ / "cut", fs::copy_options::recursive);
    for (int later = k + 1; later <= 5; ++later) fs::remove_all(checkpoint_path(folder_ / "cut", later));
    ASSERT_EQ(train_two("cut"), kNoErrors);
    for (const Told& rank : told_) EXPECT_EQ(rank.result.last_checkpoint, checkpoint_path(folder_ / "cut", 5));
    expect_same_checkpoints(step("whole", "step-000005"), step("cut", "step-000005"));
    EXPECT_EQ(timeless_metrics(folder_ / "cut"), timeless_metrics(folder_ / "whole"));
  }
  EXPECT_TRUE(warnings_.empty()) << warnings_.front();
  fs::remove_all(step("cut", "step-000005"));
  train_rank(Group::alone(), "cut", small_options(), {}, 3, 8);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("trained by 2 processes, now there are 1"), std::string::npos) << warnings_[0];
}

TEST_F(LoopGroup, EachRankHasRandomNumbersOfItsOwn) {
  std::array<std::vector<std::uint64_t>, 2> draws;
  std::array<DrawsRecorder*, 2> tasks{};
  ASSERT_EQ(run_ranks(2,
                      [&](const Group& group) {
                        const auto rank = static_cast<std::size_t>(group.rank());
                        const auto keep = [&](const Group&, DrawsRecorder& task, TinySource&, RunSetup& setup) {
                          tasks[rank] = &task;
                          setup.on_log = [&, rank](const StepRecord&) { draws[rank] = tasks[rank]->draws; };
                        };
                        train_rank(group, "two", small_options(), {}, 3, 4, keep);
                      }),
            kNoErrors);
  std::vector<std::uint64_t> alone;
  train_rank(Group::alone(), "alone", small_options(), {}, 3, 4,
             [&](const Group&, DrawsRecorder& task, TinySource&, RunSetup& setup) {
               setup.on_log = [&](const StepRecord&) { alone = task.draws; };
             });
  ASSERT_EQ(alone.size(), 5u);
  EXPECT_EQ(draws[0], alone);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_NE(draws[0][i], draws[1][i]) << i;
}

TEST_F(LoopGroup, AnExceptionOnOneRankEndsTheOthers) {
  for (const std::int64_t bad : {0, 1}) {
    SCOPED_TRACE(bad);
    fs::remove_all(folder_);
    const auto errors =
        train_two("run", small_options(), [&](const Group& group, DrawsRecorder& task, TinySource&, RunSetup&) {
          if (group.rank() == bad) task.poison_step = 2;
        });
    const std::string &own = errors[static_cast<std::size_t>(bad)], &other = errors[static_cast<std::size_t>(1 - bad)];
    EXPECT_NE(own.find("step 3: loss 'total' is inf"), std::string::npos) << own;
    EXPECT_EQ(other, "process " + std::to_string(bad) + " of the group has failed: " + own);
    EXPECT_EQ(list_checkpoints(folder_ / "run").back().step, 2);
  }
}

TEST_F(LoopGroup, ACheckpointThatCannotBeWrittenEndsAll) {
  fs::create_directories(folder_ / "run");
  write_file_atomic(folder_ / "run/checkpoints", "in the way");
  const auto errors = train_two("run");
  EXPECT_NE(errors[0].find("could not be saved"), std::string::npos) << errors[0];
  EXPECT_NE(errors[1].find("process 0 of the group has failed"), std::string::npos) << errors[1];
}

TEST_F(LoopGroup, ASignalThatOneRankHearsStopsAllAfterTheSameStep) {
  ASSERT_EQ(train_two("whole"), kNoErrors);
  const auto errors =
      train_two("run", small_options(), [](const Group& group, DrawsRecorder& task, TinySource&, RunSetup& setup) {
        if (group.rank() == 1) setup.stop_signal = [&] { return task.draws.size() == 3 ? SIGTERM : 0; };
      });
  ASSERT_EQ(errors, kNoErrors);
  for (const Told& rank : told_) {
    EXPECT_FALSE(rank.result.finished);
    EXPECT_EQ(rank.result.step, 3);
  }
  ASSERT_EQ(warnings_.size(), 1u);  // the writer's
  ASSERT_EQ(train_two("run"), kNoErrors);
  expect_same_checkpoints(step("whole", "step-000005"), step("run", "step-000005"));
}

TEST_F(LoopGroup, RanksThatSeeOtherCheckpointsOrDataDoNotStart) {
  ASSERT_EQ(train_two("run"), kNoErrors);
  fs::remove_all(step("run", "step-000005"));
  const auto folders =
      train_two("run", small_options(), [&](const Group& group, DrawsRecorder&, TinySource&, RunSetup& setup) {
        if (group.rank() == 1) setup.out = folder_ / "elsewhere";
      });
  for (const std::string& error : folders) {
    EXPECT_NE(error.find("process 1 would start at step 0 with 3 batches"), std::string::npos) << error;
  }
  EXPECT_EQ(list_checkpoints(folder_ / "run").back().step, 4);
  const auto data =
      train_two("new", small_options(), [](const Group& group, DrawsRecorder&, TinySource& source, RunSetup&) {
        if (group.rank() == 1) source = TinySource(2, 4, 1, 2);
      });
  for (const std::string& error : data) EXPECT_NE(error.find("step 0 with 2 batches"), std::string::npos) << error;
}

TEST(GroupSync, AGradientThatSomeRanksLackCountsAsZeroThere) {
  const auto errors = run_ranks(2, [](const Group& group) {
    ParameterStore store(1);
    const at::Tensor both = store.add("both", {2}, Init::kOnes), one = store.add("one", {2, 3}, Init::kOnes),
                     none = store.add("none", {2}, Init::kOnes);
    both.mutable_grad() = at::full({2}, group.rank() == 0 ? 1.0f : 2.0f);
    if (group.rank() == 1) one.mutable_grad() = at::arange(6, at::kFloat).view({3, 2}).t();  // not contiguous
    average_gradients(group, store);
    EXPECT_TRUE(both.grad().equal(at::full({2}, 1.5f)));
    EXPECT_TRUE(one.grad().equal(at::arange(6, at::kFloat).view({3, 2}).t() / 2));
    EXPECT_FALSE(none.grad().defined());
  });
  EXPECT_EQ(errors, kNoErrors);
}

}  // namespace
}  // namespace vicha
