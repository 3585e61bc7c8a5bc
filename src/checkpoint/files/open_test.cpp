#include "checkpoint/files/open.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/files.h"
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

}  // namespace
}  // namespace vicha
