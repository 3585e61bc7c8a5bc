#include "towers/torchscript_tower.h"

#include <torch/csrc/jit/api/module.h>

#include "towers/registry.h"
#include "towers/torchscript_settings.h"
#include "towers/towers_test_support.h"

namespace vicha {
namespace {

using namespace towers_test;

constexpr const char* kJson =
    R"({"image_size": 16, "mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bilinear", "output": "pooled"})";

/// A script of the given `forward`, saved; one parameter `w` (3, 5) of fixed numbers and a convolution's kernel `k`.
void save_script(const fs::path& file, const std::string& body, const std::string& returns = "Tensor") {
  torch::jit::Module module("Net");
  module.register_parameter("w", at::arange(15, at::kFloat).view({3, 5}) / 10, false);
  module.register_parameter("k", at::arange(4 * 3 * 4 * 4, at::kFloat).view({4, 3, 4, 4}) / 100, false);
  module.define("def forward(self, x: Tensor) -> " + returns + ":\n" + body);
  module.save(file.string());
}

class Script {
 public:
  explicit Script(const std::string& body, const std::string& json = kJson, const std::string& returns = "Tensor") {
    save_script(file(), body, returns);
    if (!json.empty()) write_file_atomic(folder_ / "net.json", json);
  }
  fs::path file() const { return folder_ / "net.pt"; }
  std::unique_ptr<ImageTower> open() const { return open_image_tower("torchscript:" + file().string()); }
  std::string refused() const {
    return message([&] { open(); });
  }

 private:
  Folder folder_;
};

std::string json_with(const std::string& output) { return replaced(kJson, "\"pooled\"", output); }

constexpr const char* kPool = "  return torch.matmul(x.mean([2, 3]), self.w)\n";
constexpr const char* kConv = "  return torch.conv2d(x, self.k, stride=4)\n";

TEST(TorchScript, PooledFeatures) {
  const Script script(kPool);
  const auto tower = script.open();
  EXPECT_EQ(tower->pooled_width(), 5);
  EXPECT_EQ(tower->patch_width(), 0);
  EXPECT_EQ(tower->identity().kind, "torchscript");
  const at::Tensor w = at::arange(15, at::kFloat).view({3, 5}) / 10;
  for (const std::int64_t count : {0, 1, 3, 40}) {
    const at::Tensor pixels = at::randn({count, 3, 16, 16});
    const TowerFeatures features = tower->encode(pixels, false);
    ASSERT_EQ(features.pooled_BP.sizes(), (std::vector<std::int64_t>{count, 5}));
    if (count == 0) continue;
    EXPECT_LT(furthest(features.pooled_BP, at::mm(pixels.mean(at::IntArrayRef{2, 3}), w)), 1e-5);
  }
  EXPECT_TRUE(contains(message([&] { tower->encode(at::zeros({1, 3, 16, 16}), true); }), "gives no patches"));
  EXPECT_TRUE(contains(message([&] { tower->encode(at::zeros({1, 3, 16, 20}), false); }), "reads (B, 3, 16, 16)"));
}

TEST(TorchScript, AMapOfPatchesWhateverTheLayoutInMemory) {
  const at::Tensor kernel = at::arange(4 * 3 * 4 * 4, at::kFloat).view({4, 3, 4, 4}) / 100;
  const at::Tensor pixels = at::randn({5, 3, 16, 16}), map = at::conv2d(pixels, kernel, {}, 4);
  std::vector<std::string> hashes;
  for (const char* layout : {"true", "false"}) {
    const Script script(kConv, json_with("\"patches\", \"channels_last\": " + std::string(layout)));
    const auto tower = script.open();
    EXPECT_EQ(tower->patch_width(), 4);
    const TowerFeatures features = tower->encode(pixels, true);
    EXPECT_EQ(features.rows, 4);
    EXPECT_LT(furthest(features.patches_BND, map.flatten(2).transpose(1, 2)), 1e-5);
    EXPECT_LT(furthest(features.pooled_BP, map.mean(at::IntArrayRef{2, 3})), 1e-5);
    hashes.push_back(tower->identity().sha256);
  }
}

TEST(TorchScript, TheFastFormGivesTheSameNumbers) {
  const std::string body =
      "  a = torch.conv2d(x, self.k, stride=4)\n"
      "  m = torch.mean(self.w) * torch.ones([4])\n"
      "  b = torch.relu(torch.batch_norm(a, m, m * 2, m, m + 1, False, 0.1, 0.001, False))\n"
      "  return torch.conv2d(b, self.k[:, :1].repeat([1, 4, 1, 1]), padding=2)\n";
  const at::Tensor pixels = at::randn({9, 3, 16, 16});
  at::Tensor plain;
  for (const char* optimize : {"false", "true"}) {
    const Script script(body, json_with("\"patches\", \"optimize\": " + std::string(optimize)));
    const TowerFeatures features = script.open()->encode(pixels, true);
    if (!plain.defined()) plain = features.patches_BND;
    EXPECT_LT(furthest(features.patches_BND, plain), 1e-5);
  }
}

TEST(TorchScript, TokensWithAClassTokenAndOutputsByPlaceOrName) {
  const std::string tokens =
      "  map = torch.conv2d(x, self.k, stride=4).flatten(2).transpose(1, 2)\n"
      "  all = torch.cat([map[:, :1] * 0, map], 1)\n";
  const Script tuple(tokens + "  return x, all, map.mean(1)\n",
                     json_with(R"({"pooled": 2, "patches": 1}, "skip_tokens": 1)"), "Tuple[Tensor, Tensor, Tensor]");
  const auto tower = tuple.open();
  const TowerFeatures features = tower->encode(at::randn({2, 3, 16, 16}), true);
  EXPECT_EQ(features.patches_BND.sizes(), (std::vector<std::int64_t>{2, 16, 4}));
  EXPECT_LT(furthest(features.patches_BND.mean(at::IntArrayRef{1}), features.pooled_BP), 1e-5);
}

TEST(TorchScript, ADictionaryByItsKey) {
  const Script dict("  return {'pooler': torch.matmul(x.mean([2, 3]), self.w), 'other': x}\n",
                    json_with(R"("pooled", "name": "pooler")"), "Dict[str, Tensor]");
  EXPECT_EQ(dict.open()->pooled_width(), 5);
}

TEST(TorchScript, WhatTheScriptGivesIsHeldAgainstTheJson) {
  EXPECT_TRUE(contains(Script(kConv).refused(), "its output has the shape (2, 4, 4, 4)"));
}
TEST(TorchScript, APooledOutputIsNoMapOfPatches) {
  const std::string said = Script(kPool, json_with("\"patches\"")).refused();
  EXPECT_TRUE(contains(said, "its output has the shape (2, 5)"));
  EXPECT_TRUE(contains(said, "says it is \"patches\", of the shape (2, D, rows, columns)"));
}
TEST(TorchScript, ATupleMustBeToldApart) {
  const std::string said = Script("  return x, x\n", kJson, "Tuple[Tensor, Tensor]").refused();
  EXPECT_TRUE(contains(said, "gives a tuple of 2"));
  EXPECT_TRUE(contains(said, "\"name\": 0"));
}
TEST(TorchScript, AKeyThatIsNotThereIsAnsweredWithThoseThatAre) {
  const Script script("  return {'a': x}\n", json_with(R"("pooled", "name": "b")"), "Dict[str, Tensor]");
  EXPECT_TRUE(contains(script.refused(), "a dictionary with 'a', so its output 'b' is not a tensor"));
}
TEST(TorchScript, WholeNumbersAreNoFeatures) {
  EXPECT_TRUE(contains(Script("  return x.mean([2, 3]).long()\n").refused(), "not floating-point numbers"));
}

TEST(TorchScript, DropoutLeftOnIsRefused) {
  const std::string said =
      Script("  return torch.matmul(torch.dropout(x, 0.5, True).mean([2, 3]), self.w)\n").refused();
  EXPECT_TRUE(contains(said, "its output changes from run to run")) << said;
  EXPECT_TRUE(contains(said, "model.eval()")) << said;
}
TEST(TorchScript, ABatchNormByTheBatchsOwnMomentsIsRefused) {
  const std::string said =
      Script(
          "  a = torch.conv2d(x, self.k, stride=4)\n"
          "  return torch.batch_norm(a, None, None, None, None, True, 0.1, 0.001, False).mean([2, 3])\n")
          .refused();
  EXPECT_TRUE(contains(said, "its output changes with the other pictures of the batch")) << said;
}
TEST(TorchScript, PatchesThatDependOnTheBatchAreRefused) {
  const Script script("  map = torch.conv2d(x, self.k, stride=4)\n  return map.mean([2, 3]), map - map.mean(0)\n",
                      json_with(R"({"pooled": 0, "patches": 1})"), "Tuple[Tensor, Tensor]");
  EXPECT_TRUE(contains(script.refused(), "other pictures of the batch"));
}

TEST(TorchScript, AScriptThatThrowsIsQuoted) {
  const std::string said = Script("  assert False, 'no\\033such picture'\n  return x\n").refused();
  EXPECT_TRUE(contains(said, "such picture"));
  EXPECT_TRUE(contains(said, "(2, 3, 16, 16)"));
  EXPECT_EQ(said.find('\x1b'), std::string::npos);
  EXPECT_LT(said.size(), 700U);
}
TEST(TorchScript, SizesThatDoNotFitAreQuoted) {
  EXPECT_TRUE(
      contains(Script("  return torch.matmul(x.flatten(1), self.w)\n").refused(), "the script fails on pictures"));
}
TEST(TorchScript, AScriptThatThrowsLaterNamesItsFile) {
  const Script script("  if bool(x.sum() > 0):\n    assert False, 'too bright'\n  return x.mean([2, 3])\n");
  const auto tower = script.open();
  const std::string said = message([&] { tower->encode(at::ones({40, 3, 16, 16}), false); });
  EXPECT_TRUE(contains(said, "net.pt"));
  EXPECT_TRUE(contains(said, "too bright"));
}

TEST(TorchScript, WithoutItsJsonAnExampleIsShown) {
  const std::string said = Script(kPool, "").refused();
  EXPECT_TRUE(contains(said, "there is no net.json beside it"));
  EXPECT_TRUE(contains(said, "\"image_size\": 224"));
}

TEST(TorchScript, AFileThatIsNoScript) {
  const Folder folder;
  write_file_atomic(folder / "net.pt", "PK nothing");
  write_file_atomic(folder / "net.json", kJson);
  const std::string said = message([&] { load_torchscript_tower(folder / "net.pt"); });
  EXPECT_TRUE(contains(said, "cannot load it as TorchScript"));
  EXPECT_TRUE(contains(message([&] { load_torchscript_tower(folder / "gone.pt"); }), "is not there"));
}

TEST(TorchScript, OnlyItsPrefixRunsOne) {
  const Script script("  assert False, 'I ran'\n  return x\n");
  for (const char* prefix : {"vit:", "dinov2:", "siglip:", "clip:", ""}) {
    try {
      open_image_tower(prefix + script.file().string());
      ADD_FAILURE() << prefix;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find("I ran"), std::string::npos) << prefix;
    }
  }
}

TEST(TorchScriptJson, KeysAreChecked) {
  const auto said = [](const std::string& json) {
    return message([&] { towers::torchscript_settings(json, "net.json"); });
  };
  EXPECT_TRUE(contains(said("[]"), "not a JSON object"));
  EXPECT_TRUE(contains(said(replaced(kJson, "std", "sdt")), "Nearest: 'std'"));
  EXPECT_TRUE(contains(said(R"({"image_size": 16})"), "lacks 'mean'"));
  EXPECT_TRUE(contains(said(replaced(kJson, "16", "0")), "'image_size' is 0"));
  EXPECT_TRUE(contains(said(replaced(kJson, "16", "\"16\"")), "'image_size' is \"16\""));
  EXPECT_TRUE(contains(said(replaced(kJson, "[1, 1, 1]", "[1, 1, 0]")), "above 0"));
  EXPECT_TRUE(contains(said(replaced(kJson, "bilinear", "cubic")), "bicubic"));
  EXPECT_TRUE(contains(said(json_with("\"tokens\"")), "wanted is \"pooled\""));
  EXPECT_TRUE(contains(said(json_with("{\"pooled\": -1}")), "a place in a tuple"));
  EXPECT_TRUE(contains(said(json_with("\"pooled\", \"resize_to\": 8")), "smaller than 'image_size'"));
  EXPECT_TRUE(contains(said(json_with("\"pooled\", \"skip_tokens\": 1")), "where patches are given"));
  const auto settings = towers::torchscript_settings(json_with("\"pooled\", \"resize_to\": 18"), "net.json");
  EXPECT_EQ(settings.input.describe(), "shorter side 18 bilinear, centre 16x16, mean 0 0 0, std 1 1 1");
}

}  // namespace
}  // namespace vicha
