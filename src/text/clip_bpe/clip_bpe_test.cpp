#include "text/clip_bpe/clip_bpe.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "text/clip_bpe/gzip_testing.h"
#include "text/clip_bpe/tables.h"

namespace vicha {
namespace {

using Ids = std::vector<std::int64_t>;
using Merges = std::vector<std::pair<std::string, std::string>>;

constexpr std::int64_t kBytes = 256, kFirstMerge = 512;

class ClipBpeTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path put(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    write_file_atomic(folder_ / name, text);
    return folder_ / name;
  }
  fs::path folder_ = fs::path(::testing::TempDir()) / ("clip_bpe_" + std::to_string(::getpid()));
};

// OpenAI's form of a file.
std::string merges_text(const Merges& merges, const std::string& title = "bpe#version: 0.2") {
  std::string text = title + "\n";
  for (const auto& [left, right] : merges) text += left + " " + right + "\n";
  return text;
}

const Merges kSmall = {{"t", "h"}, {"th", "e</w>"}, {"c", "a"}, {"ca", "t</w>"}, {"'", "s</w>"}, {"Ã", "©</w>"}};

// The id of a printable ASCII byte: in OpenAI's order '!' is the first.
std::int64_t byte_id(char c) { return c - '!'; }
std::int64_t last_byte_id(char c) { return kBytes + byte_id(c); }

TEST_F(ClipBpeTest, ASmallVocabulary) {
  const ClipBpe bpe = ClipBpe::load(put("small.txt", merges_text(kSmall)));
  EXPECT_EQ(bpe.size(), kFirstMerge + 6 + 2);
  EXPECT_EQ(bpe.start_id(), bpe.size() - 2);
  EXPECT_EQ(bpe.end_id(), bpe.size() - 1);
  EXPECT_EQ(bpe.encode("The CAT's"), (Ids{513, 515, 516}));
  EXPECT_EQ(bpe.encode("the cats"), (Ids{513, 514, byte_id('t'), last_byte_id('s')}));
  EXPECT_EQ(bpe.encode("that"), (Ids{512, byte_id('a'), last_byte_id('t')}));
  EXPECT_EQ(bpe.encode("é"), (Ids{517}));
  EXPECT_EQ(bpe.encode("12"), (Ids{last_byte_id('1'), last_byte_id('2')}));
  EXPECT_EQ(bpe.encode("!?"), (Ids{byte_id('!'), last_byte_id('?')}));
  EXPECT_EQ(bpe.encode("!'s"), (Ids{byte_id('!'), last_byte_id('\''), last_byte_id('s')}));
  EXPECT_EQ(bpe.encode(""), Ids{});
  EXPECT_EQ(bpe.encode("the <|endoftext|><|StartOfText|>"), (Ids{513, bpe.end_id(), bpe.start_id()}));
  EXPECT_EQ(bpe.encode("<|end"), (Ids{byte_id('<'), last_byte_id('|'), byte_id('e'), byte_id('n'), last_byte_id('d')}));
}

TEST_F(ClipBpeTest, TextsAreFramedAndCut) {
  const ClipBpe bpe = ClipBpe::load(put("small.txt", merges_text(kSmall)));
  EXPECT_EQ(bpe.tokenize("the cat"), (Ids{518, 513, 515, 519}));
  EXPECT_EQ(bpe.tokenize("the cat", 4, false), (Ids{518, 513, 515, 519}));
  EXPECT_EQ(bpe.tokenize("the cat", 3), (Ids{518, 513, 519}));
  EXPECT_EQ(bpe.tokenize("zzzz", 4), (Ids{518, byte_id('z'), byte_id('z'), 519}));
  EXPECT_EQ(bpe.tokenize("the cat", 2), (Ids{518, 519}));
  EXPECT_EQ(bpe.tokenize(""), (Ids{518, 519}));
  EXPECT_THROW(bpe.tokenize("the cat", 3, false), DataError);
  EXPECT_THROW(bpe.tokenize("the cat", 1), UsageError);
  EXPECT_EQ(bpe.tokenize_cleaned("THE", 77).size(), 5U);  // capitals are no token of this vocabulary
  std::string lengthy;
  for (int i = 0; i < 1000; ++i) lengthy += "cat ";
  EXPECT_EQ(bpe.tokenize(lengthy).size(), ClipBpe::kContextLength);
}

TEST_F(ClipBpeTest, IdsBecomeTextAgain) {
  const ClipBpe bpe = ClipBpe::load(put("small.txt", merges_text(kSmall)));
  EXPECT_EQ(bpe.decode(bpe.encode("The CAT's 12 é!")), "the cat 's 1 2 é ! ");
  EXPECT_EQ(bpe.decode(bpe.tokenize("cat")), "<|startoftext|>cat <|endoftext|>");
  EXPECT_EQ(bpe.decode(Ids{bpe.encode("猫").front()}), "\uFFFD");
  EXPECT_THROW(bpe.decode(Ids{bpe.size()}), UsageError);
  EXPECT_THROW(bpe.decode(Ids{-1}), UsageError);
}

TEST_F(ClipBpeTest, EveryFormOfFileGivesTheSame) {
  const std::string merges = merges_text(kSmall);
  const ClipBpe plain = ClipBpe::load(put("small.txt", merges));
  // Hugging Face names every id.
  nlohmann::json vocabulary, pairs = nlohmann::json::array(), lines = nlohmann::json::array();
  const auto& alphabet = text_detail::byte_alphabet();
  std::int64_t id = 0;
  for (const char* ending : {"", "</w>"}) {
    for (const unsigned char byte : alphabet.order) vocabulary[alphabet.spelling[byte] + ending] = id++;
  }
  for (const auto& [left, right] : kSmall) {
    vocabulary[left + right] = id++;
    pairs.push_back({left, right});
    lines.push_back(left + " " + right);
  }
  vocabulary["<|startoftext|>"] = id++;
  vocabulary["<|endoftext|>"] = id++;
  put("hf/vocab.json", vocabulary.dump());
  put("hf/merges.txt", merges_text(kSmall, "#version: 0.2"));
  const auto tokenizer = [&](const nlohmann::json& in_model, const nlohmann::json& merge_list) {
    const nlohmann::json model = {
        {"type", "BPE"}, {"end_of_word_suffix", "</w>"}, {"vocab", in_model}, {"merges", merge_list}};
    return nlohmann::json{
        {"added_tokens", {{{"id", 518}, {"content", "<|startoftext|>"}}, {{"id", 519}, {"content", "<|endoftext|>"}}}},
        {"model", model}}
        .dump();
  };
  nlohmann::json without = vocabulary;
  without.erase("<|startoftext|>");
  const fs::path files[] = {put("packed.txt.gz", testing_gzip(merges)),
                            put("windows.txt",
                                [&] {
                                  std::string text;
                                  for (const char c : merges) text += c == '\n' ? "\r\n" : std::string(1, c);
                                  return text + "\r\n";
                                }()),
                            folder_ / "hf",
                            folder_ / "hf/vocab.json",
                            folder_ / "hf/merges.txt",
                            put("pairs/tokenizer.json", tokenizer(vocabulary, pairs)).parent_path(),
                            put("lines.json", tokenizer(without, lines)),
                            put("openai/bpe_simple_vocab_16e6.txt.gz", testing_gzip(merges)).parent_path()};
  for (const fs::path& file : files) {
    const ClipBpe bpe = ClipBpe::load(file);
    EXPECT_EQ(bpe.size(), plain.size()) << file;
    for (const char* text : {"The CAT's é", "that 12!? <|endoftext|>", "猫 zzz"}) {
      EXPECT_EQ(bpe.tokenize(text), plain.tokenize(text)) << file;
    }
  }
}

TEST_F(ClipBpeTest, WhatIsNoVocabularyIsRefused) {
  const auto message = [&](const fs::path& file) {
    try {
      ClipBpe::load(file);
      return std::string("accepted");
    } catch (const DataError& error) {
      return std::string(error.what());
    }
  };
  const std::string good = merges_text(kSmall), packed = testing_gzip(good);
  EXPECT_NE(message(folder_ / "nowhere").find("not there"), std::string::npos);
  EXPECT_NE(message(folder_).find("without a CLIP vocabulary"), std::string::npos);
  EXPECT_NE(message(put("a.txt", "")).find("empty"), std::string::npos);
  const std::string deep = "{\"model\": " + std::string(200'000, '[') + std::string(200'000, ']') + "}";
  EXPECT_NE(message(put("deep.json", deep)).find("deep.json"), std::string::npos);
  EXPECT_NE(message(put("b.txt", "[PAD]\n[UNK]\n")).find("does not start"), std::string::npos);
  EXPECT_NE(message(put("c.txt", good + "one\n")).find("line 8"), std::string::npos);
  EXPECT_NE(message(put("d.txt", good + "a b c\n")).find("line 8"), std::string::npos);
  EXPECT_NE(message(put("e.txt", good + "\nt h\n")).find("line 8"), std::string::npos);
  EXPECT_NE(message(put("f.txt", good + "zz t\n")).find("no token 'zz'"), std::string::npos);
  EXPECT_NE(message(put("g.txt", good + "\377 t\n")).find("line 8"), std::string::npos);
  EXPECT_NE(message(put("h.gz", packed.substr(0, packed.size() - 5))).find("cut off"), std::string::npos);
  EXPECT_NE(message(put("i.json", "{\"a\":")).find("no JSON"), std::string::npos);
  EXPECT_NE(message(put("j/vocab.json", "{\"a\":1}")).find("merges.txt"), std::string::npos);
  put("k/merges.txt", merges_text({}));
  for (const char* id : {"-1", "\"x\"", "1e9", "99999999999", "1.5", "null"}) {
    EXPECT_NE(message(put("k/vocab.json", std::string("{\"a\":") + id + "}")).find("'a' has no id"), std::string::npos)
        << id;
  }
  EXPECT_NE(message(put("k/vocab.json", "{\"a\":1}")).find("<|startoftext|>"), std::string::npos);
  for (const char* model : {"3", "{}", R"({"vocab":{},"merges":3})", R"({"vocab":[],"merges":[]})",
                            R"({"vocab":{},"merges":[]})", R"({"vocab":{},"merges":[3],"end_of_word_suffix":"</w>"})",
                            R"({"vocab":{},"merges":["a"],"end_of_word_suffix":"</w>"})"}) {
    EXPECT_NE(message(put("l.json", std::string("{\"model\":") + model + "}")), "accepted") << model;
  }
}

// The plain way, on spellings: the pair that comes first in the file, everywhere, from left to right.
std::vector<std::string> join_plainly(std::vector<std::string> word, const Merges& merges) {
  std::map<std::pair<std::string, std::string>, std::size_t> ranks;
  for (std::size_t i = 0; i < merges.size(); ++i) ranks[merges[i]] = i;
  while (true) {
    std::size_t best = merges.size();
    for (std::size_t i = 0; i + 1 < word.size(); ++i) {
      const auto found = ranks.find({word[i], word[i + 1]});
      if (found != ranks.end()) best = std::min(best, found->second);
    }
    if (best == merges.size()) return word;
    std::vector<std::string> joined;
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (i + 1 < word.size() && std::pair(word[i], word[i + 1]) == merges[best]) {
        joined.push_back(word[i] + word[i + 1]);
        ++i;
      } else {
        joined.push_back(word[i]);
      }
    }
    word = std::move(joined);
  }
}

/// Merges in any order, also such as training would never give: both fast ways equal the plain one.
TEST_F(ClipBpeTest, FastJoiningEqualsThePlain) {
  Rng rng(3);
  for (int round = 0; round < 30; ++round) {
    Merges merges;
    std::vector<std::string> known = {"a", "b", "c", "a</w>", "b</w>", "c</w>"};
    while (merges.size() < 40) {
      const std::string left = known[rng.below(known.size())], right = known[rng.below(known.size())];
      if (left.ends_with(">")) continue;
      merges.emplace_back(left, right);
      known.push_back(left + right);
    }
    for (std::size_t i = merges.size(); i > 1; --i) std::swap(merges[i - 1], merges[rng.below(i)]);
    const fs::path file = put("random.txt", merges_text(merges));
    const text_detail::BpeTables tables(text_detail::read_bpe_file(file));
    const ClipBpe bpe = ClipBpe::load(file);
    for (int i = 0; i < 60; ++i) {
      std::string text;
      for (std::uint64_t n = 1 + rng.below(i < 40 ? 12 : 64); n > 0; --n) text += static_cast<char>('a' + rng.below(3));
      std::vector<std::string> word;
      std::vector<text_detail::BpeId> ids;
      for (const char c : text) {
        word.emplace_back(1, c);
        ids.push_back(tables.byte_ids[static_cast<unsigned char>(c)]);
      }
      word.back() += "</w>";
      ids.back() = tables.last_byte_ids[static_cast<unsigned char>(text.back())];
      const std::vector<std::string> expected = join_plainly(word, merges);
      std::vector<std::string> in_short, in_long, whole;
      std::vector<text_detail::BpeId> copy = ids;
      tables.join_short(copy);
      for (const auto id : copy) in_short.push_back(tables.spellings[id]);
      copy = ids;
      tables.join_long(copy);
      for (const auto id : copy) in_long.push_back(tables.spellings[id]);
      for (const auto id : bpe.encode(text)) whole.push_back(tables.spellings[static_cast<std::size_t>(id)]);
      EXPECT_EQ(in_short, expected) << text;
      EXPECT_EQ(in_long, expected) << text;
      EXPECT_EQ(whole, expected) << text;
    }
  }
}

TEST_F(ClipBpeTest, AnyBytesHaveIds) {
  const ClipBpe bpe = ClipBpe::load(put("small.txt", merges_text(kSmall)));
  Rng rng(8);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (std::uint64_t n = rng.below(60); n > 0; --n) {
      text += rng.below(3) == 0 ? static_cast<char>(rng()) : "&#;<|'s x1amp\033["[rng.below(15)];
    }
    for (const std::int64_t id : bpe.tokenize(text)) {
      EXPECT_GE(id, 0);
      EXPECT_LT(id, bpe.size());
    }
    bpe.decode(bpe.encode(text));
  }
  // One word of a megabyte.
  EXPECT_EQ(bpe.encode(std::string(1 << 20, 'z')).size(), std::size_t{1} << 20);
}

}  // namespace
}  // namespace vicha
