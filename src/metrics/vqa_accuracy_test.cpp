#include "metrics/vqa_accuracy.h"

#include <gtest/gtest.h>

namespace vicha {
namespace {

std::vector<std::string> ten(const std::string& answer, int times, const std::string& other) {
  std::vector<std::string> all(static_cast<std::size_t>(times), answer);
  all.resize(10, other);
  return all;
}

TEST(VqaAccuracy, LeavesEachAnnotatorOut) {
  // Of ten, n agree: n times (n - 1)/3 and 10 - n times n/3, each at most 1.
  const double expected[] = {0, 0.3, 0.6, 0.9, 1, 1, 1, 1, 1, 1, 1};
  for (int n = 0; n <= 10; ++n) EXPECT_NEAR(vqa_accuracy("cat", ten("cat", n, "dog")), expected[n], 1e-12) << n;
}

TEST(VqaAccuracy, NormalisesTheAnswer) {
  EXPECT_EQ(normalise_vqa_answer(" The Two-Tone\tcar. "), "2 tone car");
  EXPECT_EQ(normalise_vqa_answer("dont know"), "don't know");
  EXPECT_EQ(normalise_vqa_answer("1,000 (about)"), "1000 about");
  EXPECT_EQ(normalise_vqa_answer("red , white"), "red white");
  EXPECT_EQ(normalise_vqa_answer("3.5 p.m."), "3.5 pm");
  EXPECT_EQ(normalise_vqa_answer("\n\t"), "");
  EXPECT_EQ(normalise_vqa_answer("a"), "");
}

TEST(VqaAccuracy, LeavesUnanimousAnnotatorsAsTheyAre) {
  // The evaluation treats annotators' punctuation only where they differ.
  EXPECT_EQ(vqa_accuracy("t-shirt", ten("t-shirt", 10, "")), 0.0);
  EXPECT_EQ(vqa_accuracy("t-shirt", ten("t-shirt", 9, "shirt")), 1.0);
}

TEST(VqaAccuracy, TakesTheWordOfFewAnnotators) {
  const std::vector<std::string> one = {"Two"}, three = {"red", "blue", "blue-green"};
  EXPECT_EQ(vqa_accuracy("2", one), 1.0);
  EXPECT_EQ(vqa_accuracy("3", one), 0.0);
  EXPECT_EQ(vqa_accuracy("blue green", three), 1.0);
  EXPECT_EQ(vqa_accuracy("green", three), 0.0);
}

TEST(VqaScores, MeansOverAllAndByType) {
  VqaScores scores;
  scores.add("yes", ten("yes", 10, ""), "is the", "yes/no");
  scores.add("no", ten("yes", 8, "no"), "is the", "yes/no");
  scores.add("4", ten("4", 1, "5"), "how many", "");
  EXPECT_NEAR(scores.overall(), (1 + 0.6 + 0.3) / 3, 1e-12);
  EXPECT_EQ(round_percent(scores.overall()), 63.33);
  EXPECT_NEAR(scores.by_question_type().at("is the").value(), 0.8, 1e-12);
  EXPECT_EQ(scores.by_answer_type().size(), 1U);
}

}  // namespace
}  // namespace vicha
