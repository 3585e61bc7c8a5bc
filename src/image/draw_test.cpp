#include "image/draw.h"

#include <gtest/gtest.h>

#include <cmath>

#include "image/testing.h"

namespace vicha {
namespace {

Color at(const Image& image, int x, int y) {
  const std::uint8_t* p = image.row(y) + 3 * x;
  return {p[0], p[1], p[2]};
}

TEST(Draw, HeatColoursGetBrighter) {
  double before = -1;
  for (int i = 0; i <= 20; ++i) {
    const Color c = heat_color(i / 20.0);
    const double light = 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
    EXPECT_GT(light, before);
    before = light;
  }
  EXPECT_EQ(heat_color(-3), heat_color(0));
  EXPECT_EQ(heat_color(7), heat_color(1));
  EXPECT_EQ(heat_color(NAN), heat_color(0));
}

TEST(Draw, SheetPlacesImages) {
  Image red(4, 4, 3), blue(8, 4, 4);
  for (int i = 0; i < 16; ++i) red.pixels[static_cast<std::size_t>(3 * i)] = 255;
  for (int i = 0; i < 32; ++i)
    blue.pixels[static_cast<std::size_t>(4 * i + 2)] = blue.pixels[static_cast<std::size_t>(4 * i + 3)] = 255;
  const Image images[] = {red, blue, red};
  const Image sheet = contact_sheet(images, 2, 8, 2);
  EXPECT_EQ(sheet.width, 2 + 2 * 10);
  EXPECT_EQ(sheet.height, 2 + 2 * 10);
  EXPECT_EQ(at(sheet, 0, 0), kWhite);
  EXPECT_EQ(at(sheet, 5, 5), (Color{255, 0, 0}));
  EXPECT_EQ(at(sheet, 16, 6), (Color{0, 0, 255}));
  EXPECT_EQ(at(sheet, 16, 2), kWhite);  // twice as wide as high: nothing above
  EXPECT_EQ(at(sheet, 5, 15), (Color{255, 0, 0}));
  EXPECT_EQ(at(sheet, 16, 16), kWhite);
}

TEST(Draw, PasteBlendsAndClips) {
  Image ground(3, 1, 3);
  ground.pixels.assign(9, 100);
  Image dot(2, 1, 4);
  dot.pixels = {200, 200, 200, 128, 0, 0, 0, 255};
  paste(ground, dot, -1, 0);
  EXPECT_EQ(at(ground, 0, 0), (Color{0, 0, 0}));
  EXPECT_EQ(at(ground, 1, 0), (Color{100, 100, 100}));
  paste(ground, dot, 2, 0);
  EXPECT_EQ(at(ground, 2, 0), (Color{150, 150, 150}));
  paste(ground, dot, 50, -50);
}

TEST(Draw, HeatOverlayFollowsTheMap) {
  Image image(8, 8, 3);
  const float heat[] = {0, 0, 0, 5};
  const Image out = heat_overlay(image, heat, 2, 2, 1.0);
  EXPECT_EQ(at(out, 0, 0), heat_color(0));
  EXPECT_EQ(at(out, 7, 7), heat_color(1));
  EXPECT_EQ(heat_overlay(image, heat, 2, 2, 0.0).pixels, image.pixels);
  const float flat[] = {NAN, 1, 1, 1};
  EXPECT_EQ(at(heat_overlay(image, flat, 2, 2, 1.0), 7, 7), heat_color(0));
}

TEST(Draw, RectanglesAndPatches) {
  Image image(8, 8, 3);
  draw_rectangle(image, {1, 1, 5, 5}, {9, 8, 7}, 1);
  EXPECT_EQ(at(image, 1, 1), (Color{9, 8, 7}));
  EXPECT_EQ(at(image, 5, 3), (Color{9, 8, 7}));
  EXPECT_EQ(at(image, 3, 3), (Color{0, 0, 0}));
  EXPECT_EQ(at(image, 6, 6), (Color{0, 0, 0}));
  draw_rectangle(image, {-5, -5, 100, 100}, {1, 1, 1}, 3);
  const std::uint8_t hidden[] = {0, 1, 0, 0};
  Image covered(9, 9, 3);
  cover_patches(covered, hidden, 2, 2);
  EXPECT_EQ(at(covered, 4, 0), kMidGrey);
  EXPECT_EQ(at(covered, 7, 3), kMidGrey);
  EXPECT_EQ(at(covered, 8, 0), (Color{0, 0, 0}));  // the last column belongs to no patch of 4
  EXPECT_EQ(at(covered, 0, 0), (Color{0, 0, 0}));
}

}  // namespace
}  // namespace vicha
