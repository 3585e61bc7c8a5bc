#include "demo/demo_sprites.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "demo/words.h"
#include "image/resize.h"

namespace vicha::demo {
namespace {

Image resized(const Image& image, int width, int height) {
  // Pillow copies here; going through premultiplied samples and back would not give the same bits.
  if (image.width == width && image.height == height) return image;
  return resize_bicubic(image, width, height);
}

int round_half_even(double value) { return static_cast<int>(std::nearbyint(value)); }

/// floor or ceil of `exact`, whichever has the smaller `error`; at least 1.
template <class ErrorOf>
int round_best(double exact, ErrorOf&& error_of) {
  const int low = static_cast<int>(std::floor(exact)), high = static_cast<int>(std::ceil(exact));
  return std::max(1, error_of(high) < error_of(low) ? high : low);
}

Image filled(int side, const Color& colour) {
  Image image(side, side, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = colour[i % 3];
  return image;
}

}  // namespace

Image trim(const Image& image) {
  VICHA_ASSERT(image.channels == 4);
  constexpr int kVisible = 16;
  int left = image.width, right = -1, top = image.height, bottom = -1;
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* alpha = image.row(y) + 3;
    for (int x = 0; x < image.width; ++x) {
      if (alpha[std::ptrdiff_t{4} * x] <= kVisible) continue;
      left = std::min(left, x);
      right = std::max(right, x);
      top = std::min(top, y);
      bottom = y;
    }
  }
  if (right < 0) return image;
  return crop(image, Box{left, top, right - left + 1, bottom - top + 1});
}

Image fit(const Image& image, int side) {
  const double scale = static_cast<double>(side) / std::max(image.width, image.height);
  return resized(image, std::max(1, round_half_even(image.width * scale)),
                 std::max(1, round_half_even(image.height * scale)));
}

Image thumbnail(const Image& image, int side) {
  if (side >= image.width && side >= image.height) return image;
  const double aspect = static_cast<double>(image.width) / image.height;
  if (aspect <= 1.0) {
    const int width =
        round_best(side * aspect, [&](int n) { return std::abs(aspect - static_cast<double>(n) / side); });
    return resized(image, width, side);
  }
  const int height =
      round_best(side / aspect, [&](int n) { return n == 0 ? 0.0 : std::abs(aspect - static_cast<double>(side) / n); });
  return resized(image, side, height);
}

int count_colours(const Image& image) {
  VICHA_ASSERT(image.channels == 4);
  constexpr int kSolid = 200;
  std::vector<std::uint32_t> colours;
  for (std::size_t i = 0; i < image.pixels.size(); i += 4) {
    const std::uint8_t* p = image.pixels.data() + i;
    if (p[3] > kSolid) colours.push_back(std::uint32_t{p[0]} << 16 | std::uint32_t{p[1]} << 8 | p[2]);
  }
  std::sort(colours.begin(), colours.end());
  return static_cast<int>(std::unique(colours.begin(), colours.end()) - colours.begin());
}

Image flatten(const Image& image, int side, int low, std::string_view name) {
  constexpr double kShare = .84;
  const Image sprite = fit(fit(trim(image), low), round_half_even(side * kShare));
  const double drawn = draw("bg" + std::string(name));
  Image ground = filled(side, kPastels[static_cast<std::size_t>(drawn * kPastels.size())]);
  paste(ground, sprite, (side - sprite.width) / 2, (side - sprite.height) / 2);
  return ground;
}

}  // namespace vicha::demo
