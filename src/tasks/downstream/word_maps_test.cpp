#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tasks/downstream/explanation.h"

namespace vicha {
namespace {

TEST(WordMaps, PiecesOfAWordAreOneMap) {
  const at::Tensor rows = at::tensor({0.0F, 0.0F, 0.0F, 4.0F,   // [CLS]
                                      1.0F, 0.0F, 0.0F, 0.0F,   // play
                                      0.0F, 2.0F, 0.0F, 0.0F,   // ##ing
                                      0.0F, 0.0F, 3.0F, 0.0F})  // dog
                              .view({4, 4});
  const std::vector<WordMap> maps = maps_of_words({"[CLS]", "play", "##ing", "dog"}, rows, {2, 2});
  ASSERT_EQ(maps.size(), 3u);
  EXPECT_EQ(maps[0].word, "") << "the whole text";
  EXPECT_TRUE(maps[0].map_HW.allclose(at::tensor({0.25F, 0.5F, 0.75F, 1.0F}).view({2, 2})));
  EXPECT_EQ(maps[1].word, "playing");
  EXPECT_TRUE(maps[1].map_HW.equal(at::tensor({1.0F, 2.0F, 0.0F, 0.0F}).view({2, 2})));
  EXPECT_EQ(maps[2].word, "dog");
}

}  // namespace
}  // namespace vicha
