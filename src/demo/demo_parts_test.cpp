#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "demo/demo_images_test_support.h"
#include "demo/demo_sprites.h"
#include "demo/words.h"

namespace vicha::demo {
namespace {

using Words = std::vector<std::string>;

std::string digest(const Image& image) {
  return sha256_hex({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()});
}

TEST(DemoWords, SlugDropsAccentsAndApostrophes) {
  EXPECT_EQ(slug("piñata"), "pinata");
  EXPECT_EQ(slug("Woman’s clothes (blue)"), "womans-clothes-blue");
  EXPECT_EQ(slug("keycap: #"), "keycap");
}

TEST(DemoWords, StemLeavesOutWhoDoesIt) {
  EXPECT_EQ(stem("man: beard"), "beard");
  EXPECT_EQ(stem("woman firefighter"), "firefighter");
  EXPECT_EQ(stem("man's shoe"), "'s shoe");
  EXPECT_EQ(stem("mango"), "mango");
  EXPECT_EQ(stem("person"), "person");
}

TEST(DemoWords, WordsAreRunsOfLetters) {
  EXPECT_EQ(words("A button (blood-type 2)"), (Words{"a", "button", "blood", "type"}));
  EXPECT_EQ(word_characters("keycap: é_2"), "keycapé_2");
}

TEST(DemoWords, PluralsAndArticlesAreEnglish) {
  for (const auto& [one, many] :
       std::vector<std::pair<std::string, std::string>>{{"polar bear", "polar bears"},
                                                        {"mouse", "mice"},
                                                        {"maple leaf", "maple leaves"},
                                                        {"jellyfish", "jellyfish"},
                                                        {"bento box", "bento boxes"},
                                                        {"cheese sandwich", "cheese sandwiches"},
                                                        {"hairbrush", "hairbrushes"},
                                                        {"strawberry", "strawberries"},
                                                        {"donkey", "donkeys"},
                                                        {"brown potato", "brown potatoes"},
                                                        {"y", "ys"}}) {
    EXPECT_EQ(plural(one), many);
  }
  EXPECT_EQ(with_article("ox"), "an ox");
  EXPECT_EQ(with_article("polar bear"), "a polar bear");
  EXPECT_EQ(with_article("unicorn"), "a unicorn");
}

TEST(DemoWords, DrawsAreThoseOfTheReference) {
  EXPECT_EQ(draw("conceptpiñata"), 0.138162202377476);
  EXPECT_EQ(draw("stampA crow."), 0.2932663194893408);
}

TEST(DemoSprites, TrimGoesByVisiblePixels) {
  const Image trimmed = trim(pattern(90, 70));
  EXPECT_EQ(trimmed.width, 82);
  EXPECT_EQ(trimmed.height, 64);
  EXPECT_EQ(trim(Image(5, 4, 4)).width, 5);  // nothing to see: as it is
}

TEST(DemoSprites, SidesAreRoundedAsPillowDoes) {
  struct Case {
    int width, height, fit_width, fit_height, thumbnail_width, thumbnail_height;
  };
  for (const Case& c : {Case{90, 70, 64, 50, 90, 70}, Case{50, 33, 64, 42, 50, 33}, Case{301, 77, 64, 16, 160, 41},
                        Case{7, 300, 1, 64, 4, 160}, Case{1000, 3, 64, 1, 160, 1}}) {
    SCOPED_TRACE(std::to_string(c.width) + " x " + std::to_string(c.height));
    const Image image = pattern(c.width, c.height);
    const Image fitted = fit(image, 64), small = thumbnail(image, 160);
    EXPECT_EQ(fitted.width, c.fit_width);
    EXPECT_EQ(fitted.height, c.fit_height);
    EXPECT_EQ(small.width, c.thumbnail_width);
    EXPECT_EQ(small.height, c.thumbnail_height);
  }
}

TEST(DemoSprites, OnlySolidColoursCount) {
  Image image(4, 1, 4);
  const std::vector<std::uint8_t> pixels = {1, 2, 3, 255, 1, 2, 3, 201, 9, 9, 9, 200, 1, 2, 4, 255};
  image.pixels = pixels;
  EXPECT_EQ(count_colours(image), 2);
}

TEST(DemoSprites, FlattenedPixelsArePillows) {
  EXPECT_EQ(digest(flatten(pattern(90, 70), 96, 64, "emoji/google/a.png")),
            "98757d59b86464b9787625b9488133a2a1eff292c4de52701db1756e3aa7b74d");
  EXPECT_EQ(digest(flatten(pattern(90, 70), 192, 160, "stamps/a.png")),
            "0c51fa021239f2a96d3b17f3379646724a8b01e1b7204151348bb69ed7fedca6");
}

}  // namespace
}  // namespace vicha::demo
