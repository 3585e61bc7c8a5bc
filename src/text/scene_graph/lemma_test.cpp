#include "text/scene_graph/lemma.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace vicha {
namespace {

TEST(Lemma, SingularsOfNouns) {
  const std::pair<const char*, const char*> kCases[] = {
      {"dogs", "dog"},
      {"men", "man"},
      {"women", "woman"},
      {"people", "person"},
      {"children", "child"},
      {"sheep", "sheep"},
      {"knives", "knife"},
      {"wolves", "wolf"},
      {"cookies", "cookie"},
      {"berries", "berry"},
      {"buses", "bus"},
      {"boxes", "box"},
      {"benches", "bench"},
      {"dishes", "dish"},
      {"glasses", "glasses"},
      {"dresses", "dress"},
      {"potatoes", "potato"},
      {"shoes", "shoe"},
      {"vases", "vase"},
      {"houses", "house"},
      {"gloves", "glove"},
      {"scissors", "scissors"},
      {"grass", "grass"},
      {"bus", "bus"},
      {"tennis", "tennis"},
      {"firemen", "fireman"},
      {"grandchildren", "grandchild"},
      {"close-ups", "close-up"},
      {"teeth", "tooth"},
      {"skis", "ski"},
      {"mice", "mouse"},
      {"cacti", "cactus"},
      {"octopus", "octopus"},
      {"keys", "key"},
      {"quizzes", "quiz"},
      {"is", "is"},
      {"s", "s"},
      {"", ""},
  };
  for (const auto& [noun, lemma] : kCases) EXPECT_EQ(noun_lemma(noun), lemma) << noun;
}

TEST(Lemma, TheDictionaryDecidesWhereEndingsDoNot) {
  const std::set<std::string, std::less<>> known = {"zombie", "lens", "axe", "gas"};
  const KnownNoun is_known = [&](std::string_view word) { return known.contains(word); };
  EXPECT_EQ(noun_lemma("zombies", is_known), "zombie");
  EXPECT_EQ(noun_lemma("pixies", is_known), "pixy");
  EXPECT_EQ(noun_lemma("axes", is_known), "axe");
}

TEST(Lemma, AnyBytes) {
  EXPECT_EQ(noun_lemma("\xff\xfe"), "\xff\xfe");
  EXPECT_EQ(noun_lemma("-"), "-");
  EXPECT_EQ(noun_lemma("--s"), "--s");
  EXPECT_EQ(noun_lemma(std::string(100'000, 's')), std::string(100'000, 's'));
}

}  // namespace
}  // namespace vicha
