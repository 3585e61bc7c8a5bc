#include "concepts/vocabulary/concept_vocabulary.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "concepts/store/store_test_support.h"

namespace vicha::vocabulary_test {
namespace {

using store_test::contains, store_test::message_of, store_test::Place, store_test::write_bytes;

TEST(ConceptVocabulary, SurvivesItsFile) {
  const Place place;
  const ConceptVocabulary words({{"dog", 12, ConceptKind::kObject},
                                 {"brown dog", 3, ConceptKind::kAttribute},
                                 {"dog on sofa", 1, ConceptKind::kRelation},
                                 {"crème brûlée", 0, ConceptKind::kObject}});
  words.save(place / "v.tsv");
  const ConceptVocabulary back = ConceptVocabulary::load(place / "v.tsv");
  ASSERT_EQ(back.size(), 4);
  for (std::int64_t i = 0; i < 4; ++i) {
    const auto at = static_cast<std::size_t>(i);
    EXPECT_EQ(back.word(i), words.word(i));
    EXPECT_EQ(back.words()[at].count, words.words()[at].count);
    EXPECT_EQ(back.words()[at].kind, words.words()[at].kind);
  }
  EXPECT_EQ(back.sha256(), words.sha256());
  EXPECT_EQ(back.sha256(), sha256_hex("dog\nbrown dog\ndog on sofa\ncrème brûlée\n"));
}

TEST(ConceptVocabulary, WhatEditorsLeaveChangesNothing) {
  const Place place;
  write_bytes(place / "v.tsv",
              "\xEF\xBB\xBF# a comment\r\n\r\ndog\t12\tobject\r\n   \t \n  Brown   Dog \t 3 \t attribute \r\n"
              "  # another\nÉCLAIR\ncat\t5\t\nbike\t\trelation");
  const ConceptVocabulary words = ConceptVocabulary::load(place / "v.tsv");
  ASSERT_EQ(words.size(), 5);
  EXPECT_EQ(words.sha256(), ConceptVocabulary({{"dog"}, {"brown dog"}, {"éclair"}, {"cat"}, {"bike"}}).sha256());
  EXPECT_EQ(words.words()[1].count, 3);
  EXPECT_EQ(words.words()[1].kind, ConceptKind::kAttribute);
  EXPECT_EQ(words.words()[2].count, 0);
  EXPECT_EQ(words.words()[3].count, 5);
  EXPECT_EQ(words.words()[4].kind, ConceptKind::kRelation);
}

TEST(ConceptVocabulary, BadFilesNameTheLine) {
  const Place place;
  const std::pair<const char*, std::pair<const char*, const char*>> cases[] = {
      {"# c\ndog\t1\ncat\n\n Dog \t7\n", {"line 5", "stands in line 2 already"}},
      {"dog\tmany\n", {"line 1", "\"many\" is not a count"}},
      {"dog\t-1\n", {"line 1", "\"-1\" is not a count"}},
      {"dog\t12.5\n", {"line 1", "is not a count"}},
      {"dog\t99999999999999999999\n", {"line 1", "is not a count"}},
      {"dog\t1\tverb\n", {"line 1", "\"verb\" is not a kind"}},
      {"dog\t1\tobject\tx\n", {"line 1", "three columns"}},
      {"cat\t1\ndog   12   object\n", {"line 2", "separated by blanks"}},
      {"cat\nd\xFFg\n", {"line 2", "not UTF-8"}},
      {"cat\n\t4\n", {"line 2", "empty"}},
      {"cat\nd\x01g\n", {"line 2", "control characters"}},
      {"", {"v.tsv", "holds no concept"}},
      {"# nothing\n\n \r\n", {"v.tsv", "holds no concept"}},
      {R"([{"image": "a.jpg"}])", {"v.tsv", "is JSON"}},
  };
  for (const auto& [content, expected] : cases) {
    write_bytes(place / "v.tsv", content);
    const std::string message = message_of([&] { ConceptVocabulary::load(place / "v.tsv"); });
    EXPECT_TRUE(contains(message, "v.tsv") && contains(message, expected.first) && contains(message, expected.second))
        << message;
  }
  EXPECT_THROW(ConceptVocabulary::load(place / "none.tsv"), DataError);
  EXPECT_THROW(ConceptVocabulary({{"dog"}, {"DOG"}}), DataError);
  EXPECT_THROW(ConceptVocabulary({{" "}}), DataError);
  EXPECT_THROW(ConceptVocabulary({{"#1 fan"}}), DataError);
  EXPECT_THROW(ConceptVocabulary({{"d\xFFg"}}), DataError);
}

TEST(ConceptVocabulary, HashIsOfWordsInTheirOrder) {
  const ConceptVocabulary a({{"dog", 1}, {"cat", 2}});
  EXPECT_EQ(a.sha256(), ConceptVocabulary({{"dog", 5, ConceptKind::kAttribute}, {"cat", 7}}).sha256());
  EXPECT_NE(a.sha256(), ConceptVocabulary({{"cat", 2}, {"dog", 1}}).sha256());
  EXPECT_NE(a.sha256(), ConceptVocabulary({{"dogcat", 2}}).sha256());
}

TEST(ConceptVocabulary, MergeAddsCountsUp) {
  const std::vector<ConceptVocabulary> parts = {
      ConceptVocabulary({{"dog", 3}, {"hot dog", 1, ConceptKind::kObject}, {"ant", 2}}),
      ConceptVocabulary({{"hot dog", 4, ConceptKind::kAttribute}, {"cat", 2}}),
      ConceptVocabulary({{"hot dog", 2, ConceptKind::kObject}})};
  const ConceptVocabulary merged = merge_vocabularies(parts);
  ASSERT_EQ(merged.size(), 4);
  EXPECT_EQ(merged.word(0), "hot dog");
  EXPECT_EQ(merged.words()[0].count, 7);
  EXPECT_EQ(merged.words()[0].kind, ConceptKind::kAttribute);
  EXPECT_EQ(merged.word(1), "dog");
  EXPECT_EQ(merged.word(2), "ant");
  EXPECT_EQ(merged.word(3), "cat");
}

}  // namespace
}  // namespace vicha::vocabulary_test
