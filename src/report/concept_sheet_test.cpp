#include "report/concept_sheet.h"

#include <gtest/gtest.h>

namespace vicha {
namespace {

/// Pixels of a row that have the colour of the bars.
int bar_length(const Image& sheet, int y) {
  int count = 0;
  for (int x = 0; x < sheet.width; ++x) {
    const std::uint8_t* p = sheet.row(y) + 3 * x;
    if (p[0] == 0x3b && p[1] == 0x6f && p[2] == 0xb6) ++count;
  }
  return count;
}

TEST(ConceptSheet, BarsFollowTheCosines) {
  Image image(20, 10, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), 200);
  const Image sheet = concept_sheet(image, {{"dog", "<b>&\"", "sofa"}, {0.30f, 0.25f, 0.20f}});
  EXPECT_EQ(sheet.channels, 3);
  EXPECT_EQ(sheet.row(sheet.height / 2)[3 * 100], 200);  // the image, centred in its square
  const int first = bar_length(sheet, 24), second = bar_length(sheet, 48), third = bar_length(sheet, 72);
  EXPECT_GT(first, 140);
  EXPECT_NEAR(second, first / 2, 6);
  EXPECT_LE(third, 4);
  EXPECT_EQ(bar_length(sheet, 96), 0);
}

TEST(ConceptSheet, WithoutConceptsAndWithMany) {
  const Image image(8, 8, 3);
  EXPECT_GT(concept_sheet(image, {}).height, 0);
  const ImageConcepts many{std::vector<std::string>(40, "word"), std::vector<float>(40, 0.5f)};
  const Image sheet = concept_sheet(image, many);
  EXPECT_GT(bar_length(sheet, 16 + 39 * 24 + 8), 140);
}

}  // namespace
}  // namespace vicha
