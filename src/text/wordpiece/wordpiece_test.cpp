#include "text/wordpiece/wordpiece.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "base/error.h"

namespace vicha {
namespace {

using Ids = std::vector<std::int64_t>;
namespace fs = std::filesystem;

const fs::path kGolden = VICHA_SOURCE_DIR "/tests/golden";

Vocabulary small_vocabulary() { return Vocabulary::load(kGolden / "vicha_extra/vocab_small.txt"); }

// The BERT vocabulary comes with the MiniLM package, which `make` puts under data/; it is not in the repository.
std::optional<fs::path> bert_vocabulary() {
  if (const char* set = std::getenv("VICHA_BERT_VOCAB")) return set;
  const fs::path usual = VICHA_SOURCE_DIR "/data/minilm/vocab.txt";
  if (fs::exists(usual)) return usual;
  return std::nullopt;
}

#define REQUIRE_BERT_VOCABULARY(path)  \
  const auto path = bert_vocabulary(); \
  if (!path) GTEST_SKIP() << "SKIP: no BERT vocabulary. Run 'make setup' or set VICHA_BERT_VOCAB to a vocab.txt"

std::vector<nlohmann::json> bert_rows() {
  std::ifstream file(kGolden / "library/tokenizers/bert_uncased.jsonl");
  std::vector<nlohmann::json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(nlohmann::json::parse(line));
  return rows;
}

TEST(WordPiece, EqualsTheReleasedTokenizerOnASmallVocabulary) {
  const WordPiece tokenizer(small_vocabulary());
  const auto golden = nlohmann::json::parse(std::ifstream(kGolden / "vicha_extra/tokenizer.json"));
  ASSERT_FALSE(golden["rows"].empty());
  for (const auto& row : golden["rows"]) {
    const auto text = row["text"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text), row["ids"].get<Ids>()) << text;
    EXPECT_EQ(tokenizer.encode(text, 8), row["ids_max8"].get<Ids>()) << text;
    std::vector<std::string> pieces;
    for (const auto id : tokenizer.encode(text, WordPiece::kNoLimit, Framing::kNone)) {
      pieces.emplace_back(tokenizer.vocabulary().token(id));
    }
    EXPECT_EQ(pieces, row["tokens"].get<std::vector<std::string>>());
  }
}

TEST(WordPiece, EqualsBothPublicTokenizers) {
  REQUIRE_BERT_VOCABULARY(path);
  const auto rows = bert_rows();
  EXPECT_EQ(rows.size(), 554);
  const WordPiece released(Vocabulary::load(*path)), fast(Vocabulary::load(*path), CharacterRules::kFast);
  for (const auto& row : rows) {
    const auto text = row["text"].get<std::string>();
    const std::size_t limit = row["max_length"];
    EXPECT_EQ(released.encode(text, limit), row["vicha_input_ids"].get<Ids>()) << row["text"];
    EXPECT_EQ(fast.encode(text, limit, Framing::kClsSep), row["input_ids"].get<Ids>()) << row["text"];
  }
}

TEST(WordPiece, PadsAsThePublicTokenizer) {
  REQUIRE_BERT_VOCABULARY(path);
  const WordPiece tokenizer(Vocabulary::load(*path), CharacterRules::kFast);
  const auto cases = nlohmann::json::parse(std::ifstream(kGolden / "library/tokenizers/bert_padding.json"));
  ASSERT_EQ(cases.size(), 5);
  for (const auto& item : cases) {
    const bool limited = !item["max_length"].is_null();
    const auto limit = limited ? item["max_length"].get<std::size_t>() : WordPiece::kNoLimit;
    std::vector<Ids> rows;
    for (const auto& text : item["texts"]) {
      rows.push_back(tokenizer.encode(text.get<std::string>(), limit, Framing::kClsSep));
    }
    std::optional<std::int64_t> length;
    if (item["padding"] == "max_length") length = limit;
    const TokenBatch batch = pad_batch(rows, tokenizer.vocabulary().pad_id(), length);
    Ids ids, mask;
    for (const auto& row : item["input_ids"]) ids.insert(ids.end(), row.begin(), row.end());
    for (const auto& row : item["attention_mask"]) mask.insert(mask.end(), row.begin(), row.end());
    EXPECT_EQ(batch.ids, ids);
    EXPECT_EQ(batch.mask, mask);
    EXPECT_EQ(batch.rows * batch.length, static_cast<std::int64_t>(ids.size()));
  }
}

TEST(WordPiece, SmallVocabularyBatches) {
  const WordPiece tokenizer(small_vocabulary());
  const auto golden = nlohmann::json::parse(std::ifstream(kGolden / "vicha_extra/tokenizer.json"));
  for (const auto& [name, length] :
       {std::pair<const char*, std::optional<std::int64_t>>{"batch_longest", std::nullopt}, {"batch_max12", 12}}) {
    const auto& item = golden.at(name);
    std::vector<Ids> rows;
    for (std::size_t i = 0; i < item.at("ids").size(); ++i) {  // the batch is of the first texts
      const auto text = golden["rows"][i]["text"].get<std::string>();
      rows.push_back(tokenizer.encode(text, length ? *length : WordPiece::kNoLimit));
    }
    const TokenBatch batch = pad_batch(rows, tokenizer.vocabulary().pad_id(), length);
    Ids ids, mask;
    for (const auto& row : item.at("ids")) ids.insert(ids.end(), row.begin(), row.end());
    for (const auto& row : item.at("mask")) mask.insert(mask.end(), row.begin(), row.end());
    EXPECT_EQ(batch.ids, ids) << name;
    EXPECT_EQ(batch.mask, mask) << name;
  }
}

TEST(WordPiece, Rules) {
  const Vocabulary vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nab\n[\nmask\n]\nσ\n##σ\nq\n", "test");
  const WordPiece released(vocabulary), fast(vocabulary, CharacterRules::kFast);
  const auto pieces = [](const WordPiece& tokenizer, std::string_view text) {
    return tokenizer.encode(text, WordPiece::kNoLimit, Framing::kNone);
  };
  EXPECT_EQ(pieces(released, "AB abb \u00c4b"), (Ids{7, 7, 6, 7}));
  EXPECT_EQ(pieces(released, "[MASK][mask]a[SEP"), (Ids{4, 8, 9, 10, 5, 8, 1}));
  EXPECT_EQ(pieces(released, "\u03a3\u03a3"), (Ids{11, 12}));       // no final sigma
  EXPECT_EQ(pieces(released, "a\u0378b \xff"), (Ids{7}));           // unassigned, not UTF-8: dropped
  EXPECT_EQ(pieces(fast, "a\u0378b \xff"), (Ids{1}));               // unassigned: kept
  EXPECT_EQ(pieces(released, "a\ue000b\u200b\x7f\x01"), (Ids{7}));  // private, format and control characters
  EXPECT_EQ(pieces(fast, "a\ue000b\u200b\x7f\x01"), (Ids{7}));
  EXPECT_EQ(pieces(released, "a\U0002B8FFa"), (Ids{5, 1, 5}));  // an ideograph of extension E
  EXPECT_EQ(pieces(fast, "a\U0002B8FFa"), (Ids{1}));
  EXPECT_EQ(pieces(released, "a\u4e00a\u3000a\u2028a"), (Ids{5, 1, 5, 5, 5}));
  EXPECT_EQ(released.encode(std::string(100, 'a')), (Ids{2, 1}));
  EXPECT_EQ(released.encode("a" + std::string(99, 'b')).size(), 100);
  EXPECT_EQ(released.encode("a" + std::string(100, 'b')), (Ids{2, 1}));
  EXPECT_EQ(released.encode("\u00c4\u0301" + std::string(99, 'b')).size(), 100);  // marks do not count
  EXPECT_EQ(released.encode("q q q", 3), (Ids{2, 13, 13}));
  EXPECT_EQ(released.encode("q q q", 3, Framing::kClsSep), (Ids{2, 13, 3}));
  EXPECT_EQ(released.encode("abb q", 2, Framing::kNone), (Ids{7, 6}));
  EXPECT_EQ(released.encode("q", 2, Framing::kClsSep), (Ids{2, 3}));
  EXPECT_EQ(released.encode("q", 0, Framing::kNone), Ids{});
  EXPECT_THROW(released.encode("q", 1, Framing::kClsSep), UsageError);
  EXPECT_THROW(released.encode("q", 0), UsageError);
}

TEST(WordPiece, TotalOnAnyBytes) {
  const WordPiece released(small_vocabulary()), fast(small_vocabulary(), CharacterRules::kFast);
  const std::int64_t size = released.vocabulary().size();
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto left = random() % 40; left > 0; --left) {
      switch (random() % 4) {
        case 0:
          text += static_cast<char>(random());
          break;
        case 1:
          text += "aman in [SEP]."[random() % 14];
          break;
        case 2:
          text += "[MASK]";
          break;
        default: {  // any code point, or what looks like one
          const auto c = random() % 0x120000;
          text += static_cast<char>(0xF0 | (c >> 18));
          text += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
          text += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
          text += static_cast<char>(0x80 | (c & 0x3F));
        }
      }
    }
    for (const WordPiece* tokenizer : {&released, &fast}) {
      const Ids all = tokenizer->encode(text);
      for (const auto id : all) ASSERT_TRUE(id >= 0 && id < size);
      const std::size_t limit = 1 + random() % 12;
      const Ids cut = tokenizer->encode(text, limit);
      ASSERT_EQ(cut, Ids(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(limit, all.size()))));
    }
  }
}

TEST(WordPiece, EveryKindOfCodePoint) {
  const WordPiece tokenizer(small_vocabulary());
  // Planes beyond the second are alike throughout: a sample of them is enough.
  for (char32_t c = 0; c < 0x110000; c += c < 0x20000 ? 1 : 61) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text = "dog ";
    if (c < 0x800) {
      text += static_cast<char>(0xC0 | (c >> 6));
    } else if (c < 0x10000) {
      text += static_cast<char>(0xE0 | (c >> 12));
    } else {
      text += static_cast<char>(0xF0 | (c >> 18));
      text += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    }
    if (c >= 0x800) text += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
    const Ids ids = tokenizer.encode(text + " dog");
    ASSERT_GE(ids.size(), 3);
    ASSERT_EQ(ids[1], ids.back());
  }
}

TEST(WordPiece, LongTexts) {
  const WordPiece tokenizer(small_vocabulary());
  std::string ascii, unicode;
  for (int i = 0; i < 200000; ++i) {
    ascii += "dog ";
    unicode += "d\u00f6g ";
  }
  EXPECT_EQ(tokenizer.encode(ascii).size(), 200001);
  EXPECT_EQ(tokenizer.encode(unicode).size(), 200001);
  EXPECT_EQ(tokenizer.encode(unicode, 25), tokenizer.encode(ascii, 25));
  EXPECT_EQ(tokenizer.encode(std::string(1 << 20, 'a')), (Ids{2, 1}));
  std::string marks = "dog";
  for (int i = 0; i < 100000; ++i) marks += i % 2 ? "\u0301" : "\u0323";
  EXPECT_EQ(tokenizer.encode(marks), tokenizer.encode("dog"));
}

TEST(Vocabulary, LooksUp) {
  const Vocabulary vocabulary("x\r\n[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n\n##x\nx", "test");
  EXPECT_EQ(vocabulary.size(), 9);
  EXPECT_EQ(vocabulary.pad_id(), 1);
  EXPECT_EQ(vocabulary.mask_id(), 5);
  EXPECT_EQ(vocabulary.find("x"), 8);  // the last of two
  EXPECT_EQ(vocabulary.find("##x"), 7);
  EXPECT_EQ(vocabulary.find("y"), std::nullopt);
  EXPECT_EQ(vocabulary.token(0), "x");
  EXPECT_EQ(small_vocabulary().size(), 63);
}

TEST(Vocabulary, RefusesWhatIsNone) {
  const auto message = [](auto action) -> std::string {
    try {
      action();
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message([] {
              Vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\n", "dir/v.txt");
            }).find("dir/v.txt: the vocabulary lacks the special token [MASK]"),
            std::string::npos);
  EXPECT_NE(message([] { Vocabulary("", "v.txt"); }).find("[PAD]"), std::string::npos);
  EXPECT_NE(message([] { Vocabulary::load("no/such/vocab.txt"); }).find("no/such/vocab.txt"), std::string::npos);
}

TEST(PadBatch, Empty) {
  const TokenBatch none = pad_batch({}, 0);
  EXPECT_EQ(none.rows, 0);
  EXPECT_EQ(none.length, 0);
  const std::vector<Ids> rows = {{}, {5}};
  EXPECT_EQ(pad_batch(rows, 9).ids, (Ids{9, 5}));
  EXPECT_EQ(pad_batch(rows, 9, 2).mask, (Ids{0, 0, 1, 0}));
  EXPECT_THROW(pad_batch(rows, 9, 0), std::logic_error);
}

}  // namespace
}  // namespace vicha
