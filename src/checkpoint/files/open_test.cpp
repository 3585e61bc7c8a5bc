#include "checkpoint/files/open.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <tuple>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "checkpoint/files/convert.h"
#include "checkpoint/pickle/pth.h"

namespace vicha {
namespace {

const fs::path kGolden = fs::path(VICHA_SOURCE_DIR) / "tests/golden";

class OpenTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_ = fs::path(::testing::TempDir()) / ("open_" + std::to_string(::getpid()));
};

StateDict one(const std::string& name) {
  StateDict tensors;
  tensors.set(name, at::ones({2}));
  return tensors;
}

TEST_F(OpenTest, FilesAreKnownByTheirContent) {
  const Weights pth = open_weights(kGolden / "vicha/checkpoint_last.pth");
  EXPECT_EQ(pth.kind, WeightsKind::kPth);
  EXPECT_EQ(pth.what, "PyTorch checkpoint, its 'model'");
  const Weights safetensors = open_weights(kGolden / "vicha/pretrain_ckpt.safetensors", true);
  EXPECT_EQ(safetensors.kind, WeightsKind::kSafetensors);
  ASSERT_EQ(safetensors.tensors.size(), pth.tensors.size());
  for (const auto& [name, tensor] : pth.tensors) EXPECT_TRUE(at::equal(tensor, safetensors.tensors.at(name))) << name;
  // A converted checkpoint, under a misleading name, gives its weights only.
  convert_pth_to_safetensors(kGolden / "library/pth/checkpoint_like.pth", folder_ / "weights.dat");
  EXPECT_EQ(open_weights(folder_ / "weights.dat").tensors.size(), 6U);
}

TEST_F(OpenTest, OfSeveralSetsOfWeightsTheOtherIsNamed) {
  std::vector<std::string> warnings;
  log::set_sink([&](log::Level level, std::string_view line) {
    if (level >= log::Level::kWarning) warnings.emplace_back(line);
  });
  const Weights taken = open_weights(kGolden / "reported/weights/model_and_ema.pth");
  log::set_sink({});
  EXPECT_EQ(taken.tensors.at("a")[0][1].item<float>(), 1.0F);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("its 'model' is taken, not its 'model_ema'"), std::string::npos) << warnings[0];
}

TEST_F(OpenTest, FoldersOfAllKinds) {
  EXPECT_THROW(open_weights(folder_), DataError);
  EXPECT_THROW(open_weights(folder_ / "nowhere"), DataError);
  write_pth(folder_ / "pytorch_model.bin", one("a"));
  EXPECT_EQ(open_weights(folder_).kind, WeightsKind::kHuggingFace);
  EXPECT_TRUE(open_weights(folder_).tensors.contains("a"));
  write_safetensors(folder_ / "model.safetensors", one("b"));
  EXPECT_TRUE(open_weights(folder_).tensors.contains("b"));
  write_file_atomic(folder_ / "recipe.toml", "");
  EXPECT_EQ(open_weights(folder_).kind, WeightsKind::kVichaCheckpoint);
}

TEST_F(OpenTest, ShardsAreJoined) {
  write_safetensors(folder_ / "model-1.safetensors", one("a"));
  write_safetensors(folder_ / "model-2.safetensors", one("b"));
  const auto index = [&](const std::string& map) {
    write_file_atomic(folder_ / "model.safetensors.index.json", R"({"metadata":{},"weight_map":)" + map + "}");
  };
  index(R"({"a":"model-1.safetensors","b":"model-2.safetensors"})");
  const Weights weights = open_weights(folder_);
  EXPECT_EQ(weights.tensors.size(), 2U);
  EXPECT_EQ(weights.files.size(), 2U);
  for (const char* bad :
       {R"({"a":"model-2.safetensors"})", R"({"a":"../x.safetensors"})", R"({"a":"gone"})", R"({"a":1})", "3"}) {
    index(bad);
    EXPECT_THROW(open_weights(folder_), DataError) << bad;
  }
}

std::string refusal(const fs::path& path) {
  try {
    open_weights(path);
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find(path.filename().string()), std::string::npos) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST_F(OpenTest, MisnamedFilesAreReadOrNamed) {
  fs::copy_file(kGolden / "vicha/pretrain_ckpt.safetensors", folder_ / "a.bin");
  EXPECT_EQ(open_weights(folder_ / "a.bin").kind, WeightsKind::kSafetensors);
  write_safetensors(folder_ / "s.safetensors", one("a"));
  write_file_atomic(folder_ / "any.json", R"({"weight_map":{"a":"s.safetensors"}})");
  EXPECT_EQ(open_weights(folder_ / "any.json").tensors.size(), 1U);
  for (const char* name : {"lfs.pth", "lfs.safetensors"}) {
    EXPECT_NE(refusal(kGolden / "reported/weights" / name).find("git lfs pull"), std::string::npos) << name;
  }
  write_file_atomic(folder_ / "page.bin", "<!DOCTYPE html>");
  EXPECT_NE(refusal(folder_ / "page.bin").find("web page"), std::string::npos);
  write_file_atomic(folder_ / "empty.safetensors", "");
  EXPECT_NE(refusal(folder_ / "empty.safetensors").find("is empty"), std::string::npos);
  EXPECT_NE(refusal(kGolden / "reported/weights/emptymodel.pth").find("'model' is empty"), std::string::npos);
  const std::string narrow = refusal(kGolden / "reported/weights/f8.safetensors");
  EXPECT_NE(narrow.find("tensor 't' has the type float8_e4m3fn"), std::string::npos) << narrow;
}

TEST_F(OpenTest, PipesAndDevicesAreRefusedAtOnce) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe.pth").c_str(), 0600), 0);
  EXPECT_NE(refusal(folder_ / "pipe.pth").find("is a pipe"), std::string::npos);
  EXPECT_NE(refusal("/dev/zero").find("is a device"), std::string::npos);
  fs::create_symlink("/dev/zero", folder_ / "model.safetensors.index.json");
  EXPECT_NE(refusal(folder_).find("is a device"), std::string::npos);
  fs::remove(folder_ / "model.safetensors.index.json");
  write_file_atomic(folder_ / "model.safetensors.index.json", R"({"weight_map":{"a":"pipe.pth"}})");
  EXPECT_NE(refusal(folder_).find("is a pipe"), std::string::npos);
}

TEST_F(OpenTest, AmbiguousNamesAreRefusedWithBothPlaces) {
  for (const auto& [name, first, second] :
       {std::tuple{"top", "['model.a']", "['model']"}, std::tuple{"inner", "['a.b']", "['a']"},
        std::tuple{"empty", "['a']", "['']"}}) {
    const std::string message = refusal(kGolden / "hostile" / ("13_path_collision_" + std::string(name) + ".pth"));
    EXPECT_NE(message.find(first), std::string::npos) << message;
    EXPECT_NE(message.find(second), std::string::npos) << message;
  }
}

TEST_F(OpenTest, HostilePthsAreRefusedForWhatTheyAre) {
  for (const auto& [name, what] :
       {std::pair{"11_legacy_sysinfo_list", "does not say what machine wrote it"},
        std::pair{"13_counter", "holds a collections.Counter"}, std::pair{"13_meta", "holds tensors without data"},
        std::pair{"13_two_types_one_key", "two types"}, std::pair{"13_bool_then_byte", "two types"}}) {
    const std::string message = refusal(kGolden / "hostile" / (std::string(name) + ".pth"));
    EXPECT_NE(message.find(what), std::string::npos) << message;
    EXPECT_EQ(message.find("big-endian"), std::string::npos);
  }
  EXPECT_EQ(open_weights(kGolden / "hostile/12_path_amplify.pth").tensors.size(), 1U);
  const PickleValue floats = read_pth(kGolden / "hostile/12_float_keys.pth");
  EXPECT_EQ(floats.find("lr")->get_if<PickleDict>()->items.size(), 2U);
}

/// Quadratic look-ups took 20 s for as many.
TEST_F(OpenTest, ManyTensorsTakeTimeInProportion) {
  StateDict many;
  const at::Tensor value = at::ones({1});
  for (int i = 0; i < 200000; ++i) many.set("layer." + std::to_string(i) + ".weight", value);
  const auto start = std::chrono::steady_clock::now();
  write_safetensors(folder_ / "many.safetensors", many);
  EXPECT_EQ(open_weights(folder_ / "many.safetensors").tensors.size(), many.size());
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  RecordProperty("seconds", std::to_string(took.count()));
  EXPECT_LT(took.count(), 10) << "2 s on an idle machine";
}

TEST_F(OpenTest, IndicesThatLieAreRefused) {
  EXPECT_NE(refusal(kGolden / "hostile/16_map_empty/model.safetensors.index.json").find("names no tensor"),
            std::string::npos);
  EXPECT_NE(refusal(kGolden / "hostile/16_nul/model.safetensors.index.json").find("does not lie beside it"),
            std::string::npos);
  write_file_atomic(folder_ / "loop.json", R"({"weight_map":{"a":"loop.json"}})");
  EXPECT_NE(refusal(folder_ / "loop.json"), "accepted");
}

}  // namespace
}  // namespace vicha
