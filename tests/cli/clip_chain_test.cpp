// CLIP as a source of concepts through the commands, from weights as they are downloaded to an evaluated model: small
// random weights in each of the forms that real ones come in.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "checkpoint/files/open.h"
#include "checkpoint/pickle/pth.h"
#include "commands_test_support.h"

namespace vicha {
namespace {

const fs::path kGolden = fs::path(VICHA_SOURCE_DIR) / "tests/golden";

class ClipChain : public ThingWorld<ColourWorld> {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    name_things();
    write_recipe();
  }

  /// A folder with the byte-pair vocabulary of the fixtures' 600 tokens: 256 bytes, the same at a word's end, 86
  /// merges, start and end.
  fs::path weights_folder(const std::string& name, bool with_vocabulary = true) const {
    fs::create_directories(folder_ / name);
    std::string merges = "#version: 0.2\nd o\ndo g</w>\nc a\nca t</w>\n";
    for (int i = 4; i < 86; ++i) merges += std::string(1, 'a' + i % 26) + " " + std::string(1, 'a' + i / 26) + "\n";
    if (with_vocabulary) write_file_atomic(folder_ / name / "bpe_simple_vocab_16e6.txt", merges);
    return folder_ / name;
  }
};

TEST_F(ClipChain, FromOpenAisArchiveToAnEvaluatedModel) {
  fs::copy(kGolden / "torchscript/clip_whole.pt", weights_folder("openai") / "ViT.pt");
  const std::string source = "--source clip:openai/ViT.pt";
  const std::string built = run_well("concepts build --captions train.json --out train.concepts.json --k 3 " + source);
  EXPECT_TRUE(contains(built, "48 records of 48 pictures")) << built;
  EXPECT_TRUE(contains(built, "clip ViT-64x1/8@16")) << built;
  EXPECT_FALSE(contains(built, " W ")) << built;  // nothing to warn of: the archive carries its sizes
  const std::vector<Json> rows = records("train.concepts.json");
  ASSERT_EQ(rows.size(), 48U);
  for (const Json& row : rows) {
    ASSERT_EQ(row.at("kwords").size(), 3U);
    for (const Json& word : row.at("kwords")) {
      const std::string name = word.get<std::string>();
      EXPECT_TRUE(std::ranges::any_of(things_by_colour(), [&](const auto& pair) { return pair.second == name; }))
          << name;
    }
  }
  // Repeated it embeds nothing, and ends with the same file.
  const std::string before = read_file(folder_ / "train.concepts.json");
  const std::string again =
      run_well("concepts build --captions train.json --out train.concepts.json --k 3 --trust-names " + source);
  EXPECT_TRUE(contains(again, "48 pictures embedded, 48 of them before")) << again;
  EXPECT_EQ(read_file(folder_ / "train.concepts.json"), before);

  run_well("data filter train.json --out half.json --keep 50% " + source);
  const std::vector<Json> half = records("half.json");
  ASSERT_EQ(half.size(), 24U);
  for (std::size_t i = 1; i < half.size(); ++i) EXPECT_GE(half[i - 1].at("sim"), half[i].at("sim"));

  // The model finds the concepts of raw images by itself; those of a training image are the manifest's.
  run_well("pretrain recipe.toml --out run --device cpu");
  const std::string evaluated = run_well("eval retrieval run test.json --k-test 8 --out eval.json --device cpu");
  EXPECT_TRUE(contains(evaluated, "concepts of 8 pictures")) << evaluated;
  EXPECT_TRUE(contains(read_file(folder_ / "eval.json"), "clip ViT-64x1/8@16"));
  const std::string image = rows.front().at("image").get<std::string>();
  const auto shown = [&](const std::string& options) {
    const std::string out = run_well("concepts show " + image + " --json --out sheet.png 2>log.txt " + options);
    return Json::parse(out.substr(out.find('{'))).at("kwords");
  };
  EXPECT_EQ(shown("--checkpoint run"), rows.front().at("kwords"));
  EXPECT_EQ(shown("--k 3 --vocab train.concepts.parts/vocabulary.tsv " + source), rows.front().at("kwords"));
  EXPECT_GT(load_rgb(folder_ / "sheet.png").width, 24);

  // The weights have moved.
  fs::rename(folder_ / "openai", folder_ / "moved");
  fs::rename(folder_ / "test.json", folder_ / "unseen.json");  // whose images nothing has kept
  const std::string lost = refused("eval retrieval run unseen.json --k-test 8 --device cpu", 3);
  EXPECT_TRUE(contains(lost, "--concept-source")) << lost;
  EXPECT_TRUE(contains(lost, "--concepts none")) << lost;
  run_well("eval retrieval run unseen.json --k-test 8 --device cpu --concept-source clip:moved/ViT.pt");
}

TEST_F(ClipChain, TheSameWeightsInAnotherFileAreTheSameSource) {
  const fs::path archive = kGolden / "torchscript/clip_whole.pt";
  fs::copy(archive, weights_folder("archive") / "ViT.pt");
  // Whoever takes the state dict out of the archive loses the sizes, too.
  StateDict tensors = open_weights(archive).tensors;
  for (const char* constant : {"input_resolution", "context_length", "vocab_size"}) tensors.erase(constant);
  write_pth(weights_folder("state") / "ViT.pt", tensors);
  run_well("concepts build --captions train.json --out a.json --source clip:archive/ViT.pt");
  const std::string built = run_well("concepts build --captions train.json --out b.json --source clip:state/ViT.pt");
  EXPECT_TRUE(contains(built, "taken for granted")) << built;  // heads of 64, as OpenAI's
  EXPECT_EQ(read_file(folder_ / "a.json"), read_file(folder_ / "b.json"));
  Json a = Json::parse(read_file(folder_ / "a.json.identity.json")),
       b = Json::parse(read_file(folder_ / "b.json.identity.json"));
  EXPECT_EQ(a.at("weights"), b.at("weights"));
  EXPECT_EQ(a.at("vocabulary_sha256"), b.at("vocabulary_sha256"));
}

TEST_F(ClipChain, HuggingFacesFolder) {
  const fs::path hub = weights_folder("hub");
  fs::copy(kGolden / "library/clip/clip_tiny.safetensors", hub / "model.safetensors");
  fs::copy(kGolden / "library/clip/clip_tiny.config.json", hub / "config.json");
  const std::string built =
      run_well("concepts build --captions train.json --out train.concepts.json --source clip:hub --k 2");
  EXPECT_FALSE(contains(built, " W ")) << built;
  EXPECT_EQ(records("train.concepts.json").front().at("kwords").size(), 2U);
}

TEST_F(ClipChain, WhatIsMissingIsSaidBeforeTheWork) {
  const fs::path bare = weights_folder("bare", false);
  fs::copy(kGolden / "torchscript/clip_whole.pt", bare / "ViT.pt");
  const std::string build = "concepts build --captions train.json --out train.concepts.json --source clip:";
  const std::string message = refused(build + "bare/ViT.pt", 3);
  EXPECT_TRUE(contains(message, "bpe_simple_vocab_16e6.txt.gz")) << message;
  EXPECT_TRUE(contains(message, "--bpe")) << message;
  EXPECT_FALSE(fs::exists(folder_ / "train.concepts.parts" / "captions.jsonl"));
  run_well(build + "bare/ViT.pt --bpe " + (weights_folder("words") / "bpe_simple_vocab_16e6.txt").string());

  EXPECT_TRUE(contains(refused(build + "none.pt", 3), "none.pt"));
  const std::string bert = refused(build + (kGolden / "library/bert/bert_tiny.safetensors").string(), 3);
  EXPECT_TRUE(contains(bert, "BERT")) << bert;
  write_file_atomic(bare / "noise.pt", std::string(1000, 'x'));
  refused(build + "bare/noise.pt", 3);
  refused("concepts build --captions train.json --out x.json", 2);
}

TEST_F(ClipChain, TooManyBadImagesNameTheOptionsOfTheCommand) {
  fs::copy(kGolden / "torchscript/clip_whole.pt", weights_folder("openai") / "ViT.pt");
  std::string rows;
  for (int i = 0; i < 20; ++i) rows += fmt::format("{{\"image\": \"none{}.png\", \"caption\": \"a cat\"}}\n", i);
  write_file_atomic(folder_ / "bad.json", read_file(folder_ / "train.json") + rows);
  const std::string source = "--source clip:openai/ViT.pt";
  const auto names = [&](const std::string& command, std::string_view share, std::string_view folder) {
    const std::string message = refused(command + " " + source, 3);
    EXPECT_TRUE(contains(message, fmt::format("more than {} = ", share))) << message;
    EXPECT_TRUE(contains(message, fmt::format("raise {}", share))) << message;
    EXPECT_TRUE(contains(message, fmt::format("check {} and --strip-parts", folder))) << message;
    EXPECT_FALSE(contains(message, "data.max_bad_share")) << message;
  };
  names("concepts build --captions bad.json --out bad.concepts.json", "--max-bad-share", "--images");
  names("concepts embed bad.json --out bad.emb", "--max-bad-share", "--image-root");
  names("data filter bad.json --out good.json --keep 50%", "--max-missing", "--image-root");
}

}  // namespace
}  // namespace vicha
