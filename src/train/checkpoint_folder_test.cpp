#include "train/checkpoint_folder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/temporary.h"
#include "checkpoint/safetensors/safetensors.h"
#include "train/config_changes.h"
#include "train/tiny_task_test.h"

namespace vicha {
namespace {

class Checkpoints : public ::testing::Test {
 protected:
  void SetUp() override {
    out_ = fs::path(::testing::TempDir()) / ("vicha_checkpoints_" + std::to_string(::getpid()));
    fs::remove_all(out_);
    log::set_sink([this](log::Level level, std::string_view line) {
      if (level >= log::Level::kWarning) warnings_.emplace_back(line);
    });
  }
  void TearDown() override {
    log::set_sink({});
    fs::remove_all(out_);
  }

  /// A checkpoint of an optimiser that has made one step.
  fs::path save(std::int64_t step, TinyTask&& task = TinyTask()) {
    AdamW optimizer(task.parameters(), {});
    take_step(task, optimizer);
    return save_checkpoint(out_, task, optimizer, state(step));
  }
  static void take_step(TinyTask& task, AdamW& optimizer) {
    const at::Tensor weight = task.parameters().parameter("first.weight").value;
    weight.mutable_grad() = at::ones_like(weight);
    optimizer.step(0.1);
    optimizer.clear_gradients();
  }
  static TrainState state(std::int64_t step) {
    return {.step = step,
            .epoch = 2,
            .batch_in_epoch = 3,
            .batches_per_epoch = 9,
            .seed = 4,
            .precision = Precision::kFp32,
            .matmul_kernel = "blas",
            .threads = 2,
            .seconds = 12.5,
            .skipped = 7};
  }
  /// The message of the DataError.
  static std::string refusal(const fs::path& folder, TinyTask&& task = TinyTask()) {
    AdamW optimizer(task.parameters(), {});
    try {
      load_checkpoint(folder, task, optimizer, resumable_keys());
    } catch (const DataError& e) {
      return e.what();
    }
    ADD_FAILURE() << "accepted";
    return "";
  }
  static void expect_mentions(const std::string& message, std::initializer_list<const char*> parts) {
    for (const char* part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << part << " is not in: " << message;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(out_ / "checkpoints")) found.push_back(entry.path().filename());
    std::sort(found.begin(), found.end());
    return found;
  }

  fs::path out_;
  std::vector<std::string> warnings_;
};

TEST_F(Checkpoints, EverythingComesBack) {
  TinyTask task;
  AdamW optimizer(task.parameters(), {});
  take_step(task, optimizer);
  task.load_state([] {
    StateDict s;
    s.set("seen", at::scalar_tensor(123, at::kLong));
    return s;
  }());
  const fs::path path = save_checkpoint(out_, task, optimizer, state(40));
  EXPECT_EQ(path, out_ / "checkpoints/step-000040");
  EXPECT_EQ(read_file(path / "recipe.toml"), task.recipe_toml());
  EXPECT_EQ(read_file(path / "config.json"), task.config_json());

  TinyTask other;
  AdamW other_optimizer(other.parameters(), {});
  const TrainState back = load_checkpoint(path, other, other_optimizer, resumable_keys());
  EXPECT_EQ(back.step, 40);
  EXPECT_EQ(back.epoch, 2);
  EXPECT_EQ(back.batch_in_epoch, 3);
  EXPECT_EQ(back.batches_per_epoch, 9);
  EXPECT_EQ(back.seed, 4);
  EXPECT_EQ(back.precision, Precision::kFp32);
  EXPECT_EQ(back.matmul_kernel, "blas");
  EXPECT_EQ(back.threads, 2);
  EXPECT_EQ(back.seconds, 12.5);
  EXPECT_EQ(back.skipped, 7);
  EXPECT_EQ(other.seen(), 123);
  for (const auto& r : task.parameters().released()) {
    EXPECT_TRUE(task.parameters().view(r).equal(other.parameters().view(r))) << r.name;
  }
  StateDict before, after;
  optimizer.save_state(before);
  other_optimizer.save_state(after);
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) EXPECT_TRUE(tensor.equal(after.at(name))) << name;
  EXPECT_TRUE(warnings_.empty());

  TinyTask weights_only;
  load_model(path / "model.safetensors", weights_only.parameters());
  EXPECT_TRUE(weights_only.parameters()
                  .parameter("first.weight")
                  .value.equal(task.parameters().parameter("first.weight").value));
}

TEST_F(Checkpoints, ListedByStepAndPruned) {
  for (const std::int64_t step : {9, 1000000, 100, 20}) save(step);
  fs::create_directories(out_ / "checkpoints/step-000500");  // not a checkpoint: nothing is in it
  write_file_atomic(out_ / "checkpoints/step-banana/state.json", "{}");
  const std::vector<FoundCheckpoint> found = list_checkpoints(out_);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0].step, 9);
  EXPECT_EQ(found[3].step, 1000000);
  prune_checkpoints(out_, 0);
  EXPECT_EQ(list_checkpoints(out_).size(), 4u);
  prune_checkpoints(out_, 2);
  EXPECT_EQ(names(), (std::vector<std::string>{"step-000100", "step-000500", "step-1000000", "step-banana"}));
  EXPECT_TRUE(list_checkpoints(out_ / "nowhere").empty());
}

TEST_F(Checkpoints, SetAsideAgainReplacesWhatWasSetAsideBefore) {
  save(10);
  save(20);
  set_aside_checkpoints(out_, 10);
  save(20);
  set_aside_checkpoints(out_, 10);
  EXPECT_EQ(names(), (std::vector<std::string>{"step-000010", "superseded-step-000020"}));
  EXPECT_EQ(warnings_.size(), 2u);
}

TEST_F(Checkpoints, LeftoversOfKilledProcessesAreRemoved) {
  save(10);
  const fs::path folder = out_ / "checkpoints";
  fs::create_directories(vanishing_name(folder / "step-000020") / "inner");
  write_file_atomic(vanishing_name(out_ / "metrics.jsonl"), "x");
  fs::create_directories(folder / ".step-000020.tmp.notes");
  const AtomicFolder living(folder / "step-000020");
  remove_run_leftovers(out_);
  EXPECT_EQ(names(),
            (std::vector<std::string>{".step-000020.tmp.notes", living.path().filename().string(), "step-000010"}));
  EXPECT_EQ(std::distance(fs::directory_iterator(out_), {}), 1);
}

TEST_F(Checkpoints, OtherShapesAreNamed) {
  const std::string message = refusal(save(1, TinyTask({.width = 8})));
  expect_mentions(message, {"model.safetensors", "first.weight is Float (8, 12), expected Float (16, 12)", "first.bias",
                            "recipe.toml"});
}

TEST_F(Checkpoints, NumbersThatAreNoneAreNeitherWrittenNorRead) {
  TinyTask diverged;
  diverged.parameters().parameter("first.weight").value.data_ptr<float>()[3] = NAN;
  try {
    save(1, std::move(diverged));
    FAIL();
  } catch (const Error& error) {
    expect_mentions(error.what(), {"first.weight", "not saved"});
  }
  EXPECT_FALSE(fs::exists(out_ / "checkpoints" / "step-000001"));
  const fs::path path = save(1);
  for (const char* file : {"model.safetensors", "optimizer.safetensors"}) {
    const std::string good = read_file(path / file);
    StateDict tensors = read_safetensors(path / file);
    for (const auto& [name, tensor] : tensors) {
      if (!tensor.is_floating_point() || tensor.numel() == 0) continue;
      tensor.flatten()[0] = INFINITY;
      write_safetensors(path / file, tensors);
      expect_mentions(refusal(path), {file, name.c_str(), "holds NaN or an infinity", "earlier checkpoint"});
      break;
    }
    write_file_atomic(path / file, good);
  }
}

TEST_F(Checkpoints, MissingAndForeignTensorsAreNamed) {
  const fs::path path = save(1);
  StateDict model = read_safetensors(path / "model.safetensors");
  model.erase("second.weight");
  for (int i = 0; i < 7; ++i) model.set("foreign." + std::to_string(i), at::zeros({1}));
  write_safetensors(path / "model.safetensors", model);
  TinyTask untouched;
  const at::Tensor before = untouched.parameters().parameter("first.weight").value.detach().clone();
  AdamW optimizer(untouched.parameters(), {});
  EXPECT_THROW(load_checkpoint(path, untouched, optimizer, {}), DataError);
  EXPECT_TRUE(before.equal(untouched.parameters().parameter("first.weight").value.detach()));
  expect_mentions(refusal(path), {"model.safetensors", "missing: second.weight", "foreign.0", "and 2 more"});
}

TEST_F(Checkpoints, OtherRecipesAreRefusedKeyByKey) {
  const fs::path path = save(1);
  TinyTask other;
  other.config = R"({"tiny": {"width": 32, "depth": 2}, "optimizer": {"lr": 0.01}})";
  expect_mentions(refusal(path, std::move(other)),
                  {"config.json", "tiny.width was 16, is 32", "tiny.depth was not set, is 2", "--resume none"});
  EXPECT_TRUE(warnings_.empty());
  TinyTask slower;
  slower.config = R"({"tiny": {"width": 16}, "optimizer": {"lr": 0.001}})";
  AdamW optimizer(slower.parameters(), {});
  load_checkpoint(path, slower, optimizer, resumable_keys());
  ASSERT_EQ(warnings_.size(), 1u);
  expect_mentions(warnings_[0], {"optimizer.lr was 0.01, is 0.001"});
}

TEST_F(Checkpoints, DamagedFilesAreNamed) {
  const fs::path path = save(1);
  const auto damaged = [&](const char* file, const std::string& content, std::initializer_list<const char*> parts) {
    const std::string good = read_file(path / file);
    write_file_atomic(path / file, content);
    const std::string message = refusal(path);
    expect_mentions(message, {file});
    expect_mentions(message, parts);
    write_file_atomic(path / file, good);
  };
  damaged("state.json", "", {"not the training state"});
  damaged("state.json", "{\"format\": 1}", {"not the training state"});
  damaged("state.json", R"({"format": "vicha training state", "version": 2})", {"version 2"});
  damaged("state.json", R"({"format": "vicha training state", "version": 1, "step": "x"})",
          {R"("step" is "x", where a whole number)"});
  const auto state_with = [&](const std::string& key, const std::string& value) {
    std::string text = read_file(path / "state.json");
    const std::size_t begin = text.find("\"" + key + "\": ") + key.size() + 4;
    return text.replace(begin, text.find_first_of(",\n", begin) - begin, value);
  };
  for (const char* key : {"step", "epoch", "batch_in_epoch", "batches_per_epoch", "threads", "processes", "skipped"}) {
    const std::string named = fmt::format("\"{}\" is ", key);
    for (const char* value : {"-1", "1e30", "1.5", "99999999999999999999", "9223372036854775807", "null", "[1]"}) {
      damaged("state.json", state_with(key, value), {named.c_str(), "whole number"});
    }
  }
  damaged("state.json", state_with("batch_in_epoch", "10"), {"\"batch_in_epoch\" is 10"});
  damaged("state.json", state_with("step", "1000"), {"\"step\" is 1000", "step-000001"});
  damaged("state.json", state_with("seconds", "-1"), {"\"seconds\""});
  damaged("state.json", state_with("precision", "\"fp7\""), {"\"precision\" is \"fp7\""});
  damaged("state.json", "{\"format\": \"vicha training state\", \"version\": 1}", {"lacks \"step\""});
  damaged("state.json", "{\"format\": " + std::string(100'000, '['), {"not the training state"});
  damaged("config.json", "[", {"damaged"});
  damaged("model.safetensors", read_file(path / "model.safetensors").substr(0, 100), {});
  damaged("optimizer.safetensors", "", {});
  damaged("task.safetensors", "12345678", {});
  fs::remove(path / "optimizer.safetensors");
  expect_mentions(refusal(path), {"optimizer.safetensors"});
}

TEST_F(Checkpoints, AFullDiskLeavesTheOldCheckpointsAndNoNewName) {
  save(1);
  // The largest file that may be written is smaller than a checkpoint's: fails as a full disk does.
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 512, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  try {
    save(2);
  } catch (const Error& e) {
    message = e.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, ignored);
  expect_mentions(message, {"step-000002", "could not be saved", "Earlier checkpoints are as they were"});
  EXPECT_EQ(names(), std::vector<std::string>{"step-000001"});
  TinyTask task;
  AdamW optimizer(task.parameters(), {});
  EXPECT_EQ(load_checkpoint(out_ / "checkpoints/step-000001", task, optimizer, {}).step, 1);
}

TEST_F(Checkpoints, InfiniteWeightsAreNotSaved) {
  TinyTask task;
  task.parameters().parameter("first.bias").value.detach()[3] = std::numeric_limits<float>::infinity();
  AdamW optimizer(task.parameters(), {});
  try {
    save_checkpoint(out_, task, optimizer, state(1));
    FAIL();
  } catch (const Error& e) {
    expect_mentions(e.what(), {"first.bias", "step 1"});
  }
  EXPECT_TRUE(list_checkpoints(out_).empty());
}

TEST_F(Checkpoints, CopiesInAnotherPrecisionAreReadButNotResumed) {
  const fs::path path = save(1);
  const StateDict whole = read_safetensors(path / "model.safetensors");
  const auto write = [&](c10::ScalarType type, double factor) {
    StateDict copy;
    for (const auto& [name, tensor] : whole)
      copy.set(name, tensor.is_floating_point() ? tensor.to(type) * factor : tensor);
    write_safetensors(path / "model.safetensors", copy);
  };
  write(at::kHalf, 1.0);
  expect_mentions(refusal(path), {"Half", "copy in another precision", "init.checkpoint"});
  TinyTask task;
  load_model(path / "model.safetensors", task.parameters());
  EXPECT_TRUE(
      at::allclose(task.parameters().parameter("first.weight").value, whole.at("first.weight", ""), 1e-2, 1e-3));
  write(at::kDouble, 1.0);
  EXPECT_NO_THROW(load_model(path / "model.safetensors", task.parameters()));
  write(at::kDouble, 1e300);  // numbers there, and infinities here
  EXPECT_THROW(load_model(path / "model.safetensors", task.parameters()), DataError);
}

TEST(ConfigChanges, OldNamesAreTheNewOnes) {
  const std::vector<MovedKey> moved = {{"model.decoder", "mae.decoder"}, {"title", "name"}};
  const auto changes =
      config_changes(R"({"model": {"decoder": {"width": 8, "layers": 1}, "decoder_x": 1}, "title": "a"})",
                     R"({"mae": {"decoder": {"width": 8, "layers": 2}}, "name": "a"})", "here", moved);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].description, "mae.decoder.layers was 1, is 2");
  EXPECT_EQ(changes[1].description, "model.decoder_x was 1, is not set");
}

TEST(ConfigChanges, AnotherSpellingOfAFilesNameIsNoChange) {
  const auto changes = config_changes(R"({"data": {"manifests": ["a/b.json", "c.json"], "root": "x"}})",
                                      R"({"data": {"manifests": ["./a//b.json ", "d.json"], "root": "y"}})", "here");
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].key, "data.manifests.1");
  EXPECT_EQ(changes[1].key, "data.root");
}

TEST(ConfigChanges, KeysAndPatterns) {
  const auto changes =
      config_changes(R"({"a": {"b": [1, 2]}, "c": "x"})", R"({"a": {"b": [1, 3]}, "d": true})", "here");
  ASSERT_EQ(changes.size(), 3u);
  EXPECT_EQ(changes[0].description, "a.b.1 was 2, is 3");
  EXPECT_EQ(changes[1].description, "c was \"x\", is not set");
  EXPECT_EQ(changes[2].description, "d was not set, is true");
  EXPECT_TRUE(matches_key("log.every_steps", {"log."}));
  EXPECT_TRUE(matches_key("train.epochs", {"x", "train.epochs"}));
  EXPECT_FALSE(matches_key("train.epochs_more", {"train.epochs"}));
  EXPECT_FALSE(matches_key("logs", {"log."}));
}

}  // namespace
}  // namespace vicha
