#include "text/cleaning/caption.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

namespace vicha {
namespace {

const std::string kCaptionGolden = VICHA_SOURCE_DIR "/tests/golden/";

TEST(CleanCaption, EqualsTheReference) {
  std::ifstream file(kCaptionGolden + "library/captions/pre_caption.jsonl");
  int rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const auto row = nlohmann::json::parse(line);
    EXPECT_EQ(clean_caption(row["text"].get<std::string>(), row["max_words"]), row["output"].get<std::string>())
        << line;
  }
  EXPECT_EQ(rows, 281);
}

TEST(CleanQuestion, EqualsTheReference) {
  std::ifstream file(kCaptionGolden + "library/captions/pre_question.jsonl");
  int rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const auto row = nlohmann::json::parse(line);
    EXPECT_EQ(clean_question(row["text"].get<std::string>(), row["max_ques_words"]), row["output"].get<std::string>())
        << line;
  }
  EXPECT_EQ(rows, 281);
}

TEST(CleanCaption, EqualsTheReleasedCode) {
  const auto rows = nlohmann::json::parse(std::ifstream(kCaptionGolden + "vicha_extra/text_norm.json"));
  ASSERT_FALSE(rows.empty());
  for (const auto& row : rows) {
    const auto text = row["inp"].get<std::string>();
    EXPECT_EQ(clean_caption(text, row["max_words"]), row["pre_caption"].get<std::string>()) << row;
    EXPECT_EQ(clean_question(text, row["max_words"]), row["pre_question"].get<std::string>()) << row;
  }
}

TEST(CleanCaption, Limits) {
  EXPECT_EQ(clean_caption("", 5), "");
  EXPECT_EQ(clean_caption("a b", 0), "");
  EXPECT_EQ(clean_question("a b", 0), "");
  EXPECT_EQ(clean_caption("a b c", 2), "a b");
  EXPECT_EQ(clean_caption("<per.son> <person><person>", 9), "person personperson");
}

TEST(HasWords, IsWhatCleaningLeavesSomethingOf) {
  for (const char* text : {"", " ", "\t\n", "?!", "- / -", "\u00A0\u3000", "(...)", "'*#:;~\""}) {
    EXPECT_FALSE(has_words(text)) << text;
    EXPECT_EQ(clean_caption(text, 9).find_first_not_of(" \t\n\u00A0\u3000"), std::string::npos) << text;
  }
  for (const char* text : {"\u200B", "\u200D \uFEFF", "\u00AD\uFE0F", "\u202E?\x01"}) {
    EXPECT_FALSE(has_words(text)) << "nothing of it can be seen, and no tokenizer keeps it";
  }
  for (const char* text : {"a", "\u200Ba", " ?b", "7", "\u00E4", "&", "\xff", "<"}) {
    EXPECT_TRUE(has_words(text)) << text;
    EXPECT_FALSE(clean_caption(text, 9).empty()) << text;
  }
}

TEST(CleanCaption, ReplacesWhatIsNotUtf8AsPythonDoes) {
  EXPECT_EQ(clean_caption("a\xffz", 9), "a\uFFFDz");
  EXPECT_EQ(clean_caption("a\xe2\x82z", 9), "a\uFFFDz");                  // one for the cut sequence
  EXPECT_EQ(clean_caption("a\xed\xa0\x80z", 9), "a\uFFFD\uFFFD\uFFFDz");  // a surrogate: one a byte
  EXPECT_EQ(clean_caption("a\xc0\x80\xf5\xf0\x9f\x98", 9), "a\uFFFD\uFFFD\uFFFD\uFFFD");
}

TEST(CleanCaption, TotalOnAnyBytes) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string text(random() % 60, ' ');
    for (char& c : text) c = static_cast<char>(random() % 3 ? "aA -/.<>\n\t"[random() % 10] : random());
    for (const auto& out : {clean_caption(text, random() % 8), clean_question(text, random() % 8)}) {
      EXPECT_EQ(out.find_first_of(",.'!?\"()*#:;~-/"), std::string::npos);
    }
  }
  EXPECT_EQ(clean_caption(std::string(1 << 20, '-') + "x", 3), "x");
  EXPECT_EQ(clean_question(std::string(1 << 20, '-'), 3), "");
}

}  // namespace
}  // namespace vicha
