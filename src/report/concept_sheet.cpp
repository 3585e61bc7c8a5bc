#include "report/concept_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "image/decode.h"
#include "image/draw.h"
#include "report/html.h"

namespace vicha {
namespace {

constexpr int kImage = 384, kMargin = 16, kRow = 24, kPanel = 420, kBar = 150;

std::string panel(const ImageConcepts& concepts, int width, int height) {
  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}"><rect width="{0}" height="{1}" fill="#ffffff"/>)"
      R"(<g font-family="sans-serif" font-size="15" fill="#202124">)",
      width, height);
  const auto [low, high] = std::minmax_element(concepts.cosines.begin(), concepts.cosines.end());
  for (std::size_t i = 0; i < concepts.words.size(); ++i) {
    const double cosine = concepts.cosines[i], range = *high > *low ? *high - *low : 1.0;
    const double bar = 4 + (kBar - 4) * (*high > *low ? (cosine - *low) / range : 1.0);
    const int y = kMargin + static_cast<int>(i) * kRow;
    svg += fmt::format(
        R"(<rect x="0" y="{}" width="{:.1f}" height="16" rx="3" fill="#3b6fb6"/><text x="{}" y="{}">{:.3f}</text>)"
        R"(<text x="{}" y="{}">{}</text>)",
        y, bar, kBar + 8, y + 13, cosine, kBar + 62, y + 13, escape_html(concepts.words[i]));
  }
  if (concepts.words.empty()) {
    svg += fmt::format(R"(<text x="0" y="{}">no concept is probable enough</text>)", kMargin + 13);
  }
  return svg + "</g></svg>";
}

}  // namespace

Image concept_sheet(const Image& image, const ImageConcepts& concepts) {
  const int height = std::max(kImage + 2 * kMargin, 2 * kMargin + kRow * static_cast<int>(concepts.words.size()));
  Image sheet(kImage + 2 * kMargin + kPanel, height, 3);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), 255);
  paste(sheet, contact_sheet(std::array{image}, 1, kImage, 0), kMargin, kMargin);
  paste(sheet, render_svg(panel(concepts, kPanel, height), kPanel, height, "concepts"), kImage + 2 * kMargin, 0);
  return sheet;
}

}  // namespace vicha
