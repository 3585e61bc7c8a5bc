#include "tasks/vqa/answer_texts.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace vicha {
namespace {

Vocabulary answer_words() {
  return {"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\ntable\n##s\ndon\n'\nt\n-\nblue\n3\n.\n5\n", "vocab.txt"};
}

TEST(AnswerTexts, JoinsPiecesAndMarks) {
  const Vocabulary words = answer_words();
  EXPECT_EQ(text_of_pieces({5, 6, 7}, words), "red tables");
  EXPECT_EQ(text_of_pieces({8, 9, 10, 6}, words), "don't table");
  EXPECT_EQ(text_of_pieces({5, 11, 12}, words), "red-blue");
  EXPECT_EQ(text_of_pieces({13, 14, 15}, words), "3.5");
}

TEST(AnswerTexts, ListFindsByTokensAndRefusesWhatDoesNotFit) {
  const WordPiece tokenizer(answer_words());
  const AnswerList list({"Red", "blue", "red", "don't"}, tokenizer, 6, "list.json");
  EXPECT_EQ(list.find({2, 5, 3}), 0);
  EXPECT_EQ(list.find({2, 8, 9, 10, 3}), 3);
  EXPECT_FALSE(list.find({2, 6, 3}));
  EXPECT_EQ(list.paths().first_tokens().size(), 3U);
  EXPECT_THROW(AnswerList({"red blue red blue red"}, tokenizer, 6, "list.json"), DataError);
}

}  // namespace
}  // namespace vicha
