#include "features/text_encoder.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "features/features_test_support.h"

namespace vicha {
namespace {

using namespace features_test;

class TextEncoderTest : public FeatureFolder {
 protected:
  std::unique_ptr<TextEncoder> encoder(bool lower_case = true) const {
    return std::make_unique<TextEncoder>(small_bert(folder_, 5, lower_case));
  }
};

std::vector<std::string> many_texts(int count) {
  const std::vector<std::string> words = {"a", "red", "blue", "cat", "dog", "sits", "on", "the", "mat"};
  std::vector<std::string> texts;
  for (int i = 0; i < count; ++i) {
    std::string text = "a";
    for (int j = 0; j < i * 5 % 9; ++j) text += " " + words[static_cast<std::size_t>(i + j * j) % words.size()];
    texts.push_back(text);
  }
  return texts;
}

TEST_F(TextEncoderTest, ManyAreWhatEachIsAlone) {
  const auto encode = encoder();
  const std::vector<std::string> texts = many_texts(600);
  const at::Tensor rows = encode->encode(texts);
  ASSERT_EQ(rows.sizes(), (std::vector<std::int64_t>{600, 32}));
  for (std::size_t i = 0; i < texts.size(); i += 37) {
    const at::Tensor alone = encode->tower().encode({encode->tokens(texts[i])})[0];
    EXPECT_LT((rows[static_cast<std::int64_t>(i)] - alone).abs().max().item<double>(), 1e-5) << texts[i];
  }
  EXPECT_EQ(encode->encode({}).size(0), 0);
}

TEST_F(TextEncoderTest, LongTextsAreCutBeforeTheLastSpecialToken) {
  const auto encode = encoder();
  std::string text = "the cats";
  EXPECT_EQ(encode->tokens(text), (TextTokens{2, 12, 8, 15, 3}));
  for (int i = 0; i < 30; ++i) text += " mat";
  const TextTokens cut = encode->tokens(text);
  ASSERT_EQ(cut.size(), 12U);
  EXPECT_EQ(cut.front(), 2);
  EXPECT_EQ(cut.back(), 3);
}

TEST_F(TextEncoderTest, ACasedModelKeepsCapitalsAndAccents) {
  EXPECT_EQ(encoder()->tokens("Red réd"), (TextTokens{2, 6, 6, 3}));
  EXPECT_EQ(encoder(false)->tokens("Red réd RED"), (TextTokens{2, 14, 1, 1, 3}));
  EXPECT_FALSE(encoder()->weights().same(encoder(false)->weights()));
}

TEST_F(TextEncoderTest, NeitherThreadsNorWhatIsWantedChangeABit) {
  const auto encode = encoder();
  std::vector<TextTokens> tokens;
  for (const std::string& text : many_texts(900)) tokens.push_back(encode->tokens(text));
  const TextBatches batches(*encode, tokens);
  const auto all = [](std::int64_t) { return true; };
  const at::Tensor rows = batches.rows(all);
  const int threads = at::get_num_threads();
  for (const int other : {1, 2, 3}) {
    at::set_num_threads(other);
    EXPECT_TRUE(at::equal(batches.rows(all), rows)) << other;
  }
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(batches.rows(all, 1), rows));
  const at::Tensor some = batches.rows([](std::int64_t i) { return i % 50 == 3; });
  for (std::int64_t i = 3; i < 900; i += 50) EXPECT_TRUE(at::equal(some[i], rows[i]));
}

TEST_F(TextEncoderTest, WhatIsWrongIsNamed) {
  const auto encode = encoder();
  const std::vector<std::string> texts = {"a cat", " \u200b "};
  EXPECT_TRUE(contains(message([&] { encode->encode(texts); }), "text 2"));
  write_file_atomic(folder_ / "short.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n");
  const auto other = std::make_unique<TextEncoder>(small_bert(folder_), (folder_ / "short.txt").string());
  EXPECT_FALSE(other->weights().same(encode->weights()));  // another vocabulary reads other tokens
  std::string large = read_file(folder_ / "vocab.txt");
  write_file_atomic(folder_ / "large.txt", large + "more\n");
  EXPECT_TRUE(contains(message([&] { TextEncoder(small_bert(folder_), (folder_ / "large.txt").string()); }),
                       "is a vocabulary of 17 tokens"));
  EXPECT_TRUE(contains(
      message([&] {
        TextEncoder::open(
            "clip:" + (fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/clip/clip_tiny.safetensors").string(), "cpu");
      }),
      "has no vocabulary"));
}

TEST_F(TextEncoderTest, ClipsTextTower) {
  const fs::path golden = fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/clip";
  fs::copy(golden / "clip_tiny.safetensors", folder_ / "model.safetensors");
  fs::copy(golden / "clip_tiny.config.json", folder_ / "config.json");
  std::string merges = "#version: 0.2\nd o\ndo g</w>\nc a\nca t</w>\n";
  for (int i = 4; i < 86; ++i) merges += std::string(1, 'a' + i % 26) + " " + std::string(1, 'a' + i / 26) + "\n";
  write_file_atomic(folder_ / "bpe_simple_vocab_16e6.txt", merges);
  const auto encode = TextEncoder::open("clip:" + folder_.string(), "cpu");
  const std::vector<std::string> texts = {"a dog", std::string(900, 'x'), "cat cat cat", "a dog"};
  const at::Tensor rows = encode->encode(texts);
  EXPECT_LT((rows[0] - rows[3]).abs().max().item<double>(), 1e-5);
  EXPECT_EQ(encode->tokens(texts[0]).back(), 599);
  const TextTokens cut = encode->tokens(texts[1]);
  EXPECT_EQ(static_cast<std::int64_t>(cut.size()), encode->tower().input().max_tokens);
  EXPECT_EQ(cut.back(), 599);
}

}  // namespace
}  // namespace vicha
