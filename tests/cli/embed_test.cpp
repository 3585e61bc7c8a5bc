// `vicha embed` as its users run it: released towers of each kind, kills, and everything that can be given wrongly.
#include <ATen/Functions.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include <nlohmann/json.hpp>

#include "commands_test_support.h"
#include "features/feature_embed.h"

namespace vicha {
namespace {

const fs::path kLibrary = fs::path(VICHA_SOURCE_DIR) / "tests/golden/library";

class EmbedCommand : public Commands<ColourWorld> {
 protected:
  /// A folder as a hub has it.
  void place_tower(const std::string& name, const std::string& folder) const {
    fs::create_directories(folder_ / folder);
    fs::copy(kLibrary / (name + ".safetensors"), folder_ / folder / "model.safetensors");
    fs::copy(kLibrary / (name + ".config.json"), folder_ / folder / "config.json");
  }
  void place_bert() const {
    place_tower("bert/bert_tiny", "bert");
    const std::int64_t size =
        nlohmann::json::parse(read_file(folder_ / "bert/config.json")).at("vocab_size").get<std::int64_t>();
    std::string words = read_file(folder_ / "vocab.txt");
    for (auto lines = std::count(words.begin(), words.end(), '\n'); lines < size; ++lines) {
      words += fmt::format("word{}\n", lines);
    }
    write_file_atomic(folder_ / "bert/vocab.txt", words);
  }
  /// net.pt with this `forward` and a JSON that says 16 pixels and `output`.
  void place_script(const std::string& body, const std::string& output = "pooled") const {
    torch::jit::Module module("Net");
    module.register_parameter("w", at::arange(15, at::kFloat).view({3, 5}) / 10, false);
    module.define("def forward(self, x: Tensor) -> Tensor:\n" + body);
    module.save((folder_ / "net.pt").string());
    write_file_atomic(folder_ / "net.json", fmt::format(R"({{"image_size": 16, "mean": [0, 0, 0], "std": [1, 1, 1],
                                       "interpolation": "bilinear", "output": "{}"}})",
                                                        output));
  }

  void refused(const std::string& arguments, int status, const std::vector<std::string>& parts) const {
    const std::string said = Commands::refused(arguments, status);
    for (const std::string& part : parts) expect_says(said, part);
  }
  static void expect_says(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << "lacks: " << part << "\n" << text;
  }
};

TEST_F(EmbedCommand, PicturesOfEachKindOfTower) {
  place_tower("towers/vit_tiny_hf", "vit");
  place_tower("towers/dinov2_registers_tiny", "dino");
  place_tower("towers/siglip_tiny", "siglip");
  for (const char* spec : {"vit", "dinov2:dino/model.safetensors", "siglip:siglip"}) {
    const std::string store = std::string(spec).substr(0, 3) + ".f";
    const std::string command = fmt::format("embed train.json --tower {} --patches --views flip --out {}", spec, store);
    const std::string said = run_well(command);
    expect_says(said, "48 pictures: 0 known, 48 embedded, 0 bad");
    expect_says(said, store + ".patches: ");
    expect_says(run_well(command), "48 pictures: 48 known, 0 embedded, 0 bad");
    const std::string shown = run_well(fmt::format("concepts store show {0} {0}.patches", store));
    expect_says(shown, "pooled features, 2 views (whole; flipped)");
    const FeatureStore patches = FeatureStore::open(folder_ / (store + ".patches"), FeatureKind::kPatches);
    EXPECT_GT(patches.layout().rows, 1);
    // A mirrored picture of one colour with noise is nearly the same, not quite.
    const std::vector<std::int64_t> record = {0};
    const at::Tensor a = patches.gather(record, 0), b = patches.gather(record, 1);
    EXPECT_FALSE(at::equal(a, b));
  }
  run_well("embed train.json --tower vit --patches --out int8.f --type int8");
  const std::string int8 = run_well("embed test.json --tower vit --patches --out int8.f --type int8");
  expect_says(int8, "rounded to int8: cosine to the exact vector 0.99");
  EXPECT_LT(fs::file_size(folder_ / "int8.f.patches"), fs::file_size(folder_ / "vit.f.patches") / 3);
}

TEST_F(EmbedCommand, GoesOnAfterAKillWithTheSameNumbers) {
  place_tower("towers/vit_tiny_hf", "vit");
  // Products by one library: which is faster on a busy machine is chance.
  run_well("--matmul blas embed train.json --tower vit --patches --out whole --threads 2");
  const std::string again = "--matmul blas embed train.json --tower vit --patches --out parts --threads 1";
  run_well(again);
  for (const char* file : {"parts", "parts.patches"}) {
    fs::resize_file(folder_ / file, fs::file_size(folder_ / file) * 2 / 3);
  }
  run_well(again);
  for (const char* suffix : {"", ".patches"}) {
    const EmbeddingStore whole = EmbeddingStore::open(folder_ / (std::string("whole") + suffix));
    const EmbeddingStore parts = EmbeddingStore::open(folder_ / (std::string("parts") + suffix));
    ASSERT_EQ(parts.size(), 48);
    EXPECT_TRUE(at::equal(whole.rows(whole.newest()), parts.rows(parts.newest()))) << suffix;
  }
  for (const int rank : {0, 1}) {
    run_well(fmt::format("embed train.json --tower vit --out shared --rank {} --ranks 2", rank));
  }
  run_well("concepts store merge shared.rank-0-of-2 shared.rank-1-of-2 --out shared");
  EXPECT_EQ(EmbeddingStore::open(folder_ / "shared").size(), 48);
}

TEST_F(EmbedCommand, Texts) {
  place_bert();
  const std::string said = run_well("embed train.json test.json --tower bert --out texts");
  expect_says(said, "8 texts: 0 known, 8 embedded, 0 bad");
  expect_says(run_well("embed train.json --tower bert:bert/model.safetensors --out texts"),
              "8 texts: 8 known, 0 embedded");
  expect_says(run_well("concepts store show texts"), "features of texts");
  const FeatureStore store = FeatureStore::open(folder_ / "texts", FeatureKind::kTexts);
  EXPECT_EQ(store.records_of(std::vector<std::string>{"a blue picture"}, "m"), std::vector<std::int64_t>{2});
  // Captions to captions is what pooled texts serve as they are.
  run_well(
      "data nearest-captions test.json --from train.json --store texts --caption-store texts --k 2 --out near.json");
  refused("embed train.json --tower bert --patches --out t", 2, {"--patches is of pictures"});
  refused("embed train.json --tower bert --views flip --out t", 2, {"--views is of pictures"});
  write_file_atomic(folder_ / "short.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n");
  refused("embed train.json --tower bert --vocab short.txt --out texts", 3,
          {"texts: holds features of bert", "this tower is"});
}

TEST_F(EmbedCommand, ATorchScriptIsRunWhereItIsNamedAndHeldToItsJson) {
  place_script("  return torch.matmul(x.mean([2, 3]), self.w)\n");
  expect_says(run_well("embed train.json --tower torchscript:net.pt --out s"), "48 embedded");
  refused("embed train.json --tower net.pt --out t", 2, {"net.pt"});
  refused("embed train.json --tower torchscript:net.pt --patches --out t", 3, {"gives no patches"});
  place_script("  return torch.matmul(x.mean([2, 3]), self.w).unsqueeze(0)\n");
  refused("embed train.json --tower torchscript:net.pt --out s", 3,
          {"net.pt: its output has the shape (1, 2, 5)", "(2, P)"});
  place_script("  assert x.size(0) < 0, 'not today'\n  return x\n");
  refused("embed train.json --tower torchscript:net.pt --out s", 3, {"net.pt: the script fails", "not today"});
  place_script("  return torch.matmul(x.mean([2, 3]), self.w) * 2\n");
  refused("embed train.json --tower torchscript:net.pt --out s", 3,
          {"s: holds features of torchscript", "this tower is"});
  // It throws on a picture, not on a blank one.
  place_script("  assert x.sum() == 0, 'no colours please'\n  return torch.matmul(x.mean([2, 3]), self.w)\n");
  refused("embed train.json --tower torchscript:net.pt --out t", 3, {"net.pt", "no colours please"});
  fs::remove(folder_ / "net.json");
  refused("embed train.json --tower torchscript:net.pt --out t", 3, {"net.json", "image_size"});
  expect_says(run_well("embed --help"), "TorchScript file is a program");
}

TEST_F(EmbedCommand, WhatIsGivenWronglyIsNamed) {
  place_tower("towers/vit_tiny_hf", "vit");
  place_tower("towers/dinov2_tiny", "dino");
  run_well("embed train.json --tower vit --patches --out f");
  refused("embed train.json --tower dino --out f", 3, {"f: holds features of vit", "this tower is dinov2"});
  refused("embed train.json --tower vit --views flip --out f", 3, {"pooled features, 2 views (whole; flipped)"});
  refused("embed train.json --tower vit --type int8 --out f", 3, {"holds records of", "int8"});
  refused("embed train.json --tower vit --views mirror --out g", 2, {"flip+crops:N"});
  refused("embed train.json --tower vit --texts --out g", 3, {"vit", "not a text tower"});
  refused("embed train.json --tower nothing --out g", 2, {"nothing: is not there"});
  refused("embed train.json --tower vut:vit --out g", 2, {"nearest: 'vit'"});
  refused("embed absent.json --tower vit --out g", 3, {"absent.json"});
  refused("embed train.json --tower vit --device cuda:99 --out g", 2, {"cuda:99"});
  refused("embed train.json --tower vit --vocab vocab.txt --out g", 2, {"--vocab"});
  refused("embed train.json --tower vit --out train.json", 2, {"train.json"});
  EXPECT_FALSE(fs::exists(folder_ / "g"));
  // A picture that changed is embedded anew; one that went is bad.
  fs::copy_file(folder_ / "images/red0.png", folder_ / "images/blue0.png", fs::copy_options::overwrite_existing);
  expect_says(run_well("embed train.json --tower vit --out f"), "47 known, 1 embedded");
  fs::remove(folder_ / "images/red1.png");
  expect_says(run_well("embed train.json --tower vit --out f"), "47 known, 0 embedded, 1 bad");
  expect_says(read_file(folder_ / "f.bad_pictures.jsonl"), "red1.png");
  // Commands of concepts take no patches.
  write_file_atomic(folder_ / "words.tsv", "red\t3\tobject\n");
  refused("data nearest-captions test.json --from train.json --store f.patches --caption-store f.patches --out n.json",
          3, {"f.patches: holds features of"});
  refused("data filter train.json --keep 50% --store f.patches --caption-store f --out n.json", 3,
          {"f.patches: holds features of", "one embedding of each picture"});
  refused("data filter train.json --keep 50% --store f --caption-store f --out n.json", 3, {"each caption"});
}

}  // namespace
}  // namespace vicha
