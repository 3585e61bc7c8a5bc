#include "search/contact_sheet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/printable.h"
#include "image/decode.h"
#include "image/resize.h"
#include "report/html.h"
#include "search/picture_list.h"

namespace vicha {

namespace embedded {
std::string_view sheet_css();
}

namespace {

constexpr int kSide = 360, kSheetQuality = 78;  ///< drawn at half of it: sharp on dense screens too
constexpr std::size_t kShownDuplicates = 12;

/// Light grey under what is transparent, as a viewer shows it.
Image on_ground(const Image& rgba) {
  Image rgb(rgba.width, rgba.height, 3);
  for (std::size_t i = 0; i < rgb.pixels.size() / 3; ++i) {
    const std::uint8_t* p = rgba.pixels.data() + 4 * i;
    for (std::size_t c = 0; c < 3; ++c) {
      rgb.pixels[3 * i + c] = static_cast<std::uint8_t>((p[c] * p[3] + 250 * (255 - p[3]) + 127) / 255);
    }
  }
  return rgb;
}

/// None where the file cannot be read.
std::optional<std::string> thumbnail(const fs::path& path) {
  try {
    Image image = load_rgba(path, {.accept_truncated = true, .least_side = kSide, .apply_exif = true});
    const int side = std::max(image.width, image.height);
    if (side > kSide) {
      const auto scaled = [&](int length) {
        return std::max(1, static_cast<int>(std::lround(static_cast<double>(length) * kSide / side)));
      };
      image = resize_bicubic(image, scaled(image.width), scaled(image.height));
    }
    return data_uri("image/webp", encode_webp(on_ground(image), kSheetQuality));
  } catch (const Error&) {
    return std::nullopt;
  }
}

void draw_picture(Html& html, const fs::path& path, std::string_view alt) {
  if (const std::optional<std::string> uri = thumbnail(path)) {
    html.empty("img", {{"src", *uri}, {"alt", std::string(alt)}, {"loading", "lazy"}, {"decoding", "async"}});
  } else {
    html.leaf("span", {{"class", "missing"}}, "cannot be read any more");
  }
}

std::string percent(double p) {
  return p < 0.0995 ? fmt::format("{:.1f} %", 100 * p) : fmt::format("{:.0f} %", 100 * p);
}

void draw_hit(Html& html, const SearchHit& hit, std::size_t rank) {
  const std::string path = printable(shown_path(hit.path)), name = printable(hit.path.filename().string());
  const auto card = html.element("li", {{"class", hit.itself ? "hit itself" : "hit"}});
  {
    const auto frame = html.element("div", {{"class", "frame"}});
    draw_picture(html, hit.path, name);
    html.leaf("span", {{"class", "rank"}}, fmt::format("{}", rank));
    if (hit.itself) html.leaf("span", {{"class", "badge"}}, "the query");
  }
  html.leaf("p", {{"class", "name"}, {"title", path}}, name);
  {
    const auto line = html.element("p", {{"class", "numbers"}});
    const auto bar = html.element("span", {{"class", "bar"}});
    const auto filled = html.element("i", {{"style", fmt::format("width:{:.1f}%", 100 * hit.probability)}});
  }
  html.leaf("p", {{"class", "numbers"}},
            fmt::format("{} · cosine {:.3f}{}", percent(hit.probability), hit.cosine,
                        hit.matching ? fmt::format(" · matching {}", percent(*hit.matching)) : std::string()));
  if (hit.duplicates.empty()) return;
  const auto details = html.element("details");
  html.leaf("summary", {}, fmt::format("+{} alike", hit.duplicates.size()));
  const auto list = html.element("ul");
  for (std::size_t i = 0; i < hit.duplicates.size(); ++i) {
    if (i == kShownDuplicates) {
      html.leaf("li", {}, fmt::format("and {} more", hit.duplicates.size() - i));
      break;
    }
    html.leaf("li", {}, printable(shown_path(hit.duplicates[i])));
  }
}

}  // namespace

std::string contact_sheet(const SearchQuery& query, const SearchResult& result, const SheetContext& context) {
  const std::string title = printable(query.text);
  Html html;
  html.raw("<!DOCTYPE html>\n");
  const auto root = html.element("html", {{"lang", "en"}});
  {
    const auto head = html.element("head");
    html.empty("meta", {{"charset", "utf-8"}});
    html.empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
    html.leaf("title", {}, title + " – vicha search");
    const auto style = html.element("style");
    html.raw(embedded::sheet_css());
  }
  const auto body = html.element("body");
  {
    const auto header = html.element("header");
    if (!query.picture.empty()) {
      const auto frame = html.element("div", {{"class", "frame query"}});
      draw_picture(html, query.picture, "the picture that was looked for");
    }
    const auto words = html.element("div");
    html.leaf("h1", {}, query.picture.empty() ? "“" + title + "”" : "Pictures like " + title);
    const std::string found = result.hits.empty()
                                  ? "Nothing found"
                                  : fmt::format("{} {}", result.hits.size(), result.hits.size() == 1 ? "hit" : "hits");
    html.leaf("p", {},
              fmt::format("{} among {} pictures of {}.{}", found, context.pictures, printable(context.index),
                          result.by_matching ? " Ordered by contrast and matching." : ""));
    if (result.hits.empty()) {
      html.leaf("p", {},
                result.meaning < result.least_meaning
                    ? fmt::format("These words seem to mean nothing here (probability that they do: {}).",
                                  percent(result.meaning))
                    : fmt::format("The best hit has a probability of {}.", percent(result.best_probability)));
    }
  }
  {
    const auto list = html.element("ol", {{"class", "hits"}});
    for (std::size_t i = 0; i < result.hits.size(); ++i) draw_hit(html, result.hits[i], i + 1);
  }
  const auto footer = html.element("footer");
  html.leaf("p", {},
            query.picture.empty()
                ? "Percentages: how likely it is that the hit is right, by its cosine; " +
                      printable(context.calibrated_by) + "."
                : "Percentages: of how many pictures of the index the nearest other one is less alike.");
  return html.str() + "\n";
}

}  // namespace vicha
