#include "report/page_images.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "image/decode.h"
#include "image/resize.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;

constexpr int kLargestSide = 144;  // drawn at up to 96 CSS pixels: sharp on dense screens too
constexpr int kQuality = 82, kLosslessSide = 100, kLargeQuality = 90;

Image shrunk(const Image& image) {
  const int side = std::max(image.width, image.height);
  if (side <= kLargestSide) return image;
  const auto scaled = [&](int length) {
    return std::max(1, static_cast<int>(std::lround(static_cast<double>(length) * kLargestSide / side)));
  };
  return resize_bicubic(image, scaled(image.width), scaled(image.height));
}

}  // namespace

const Thumbnails::Thumbnail& Thumbnails::find(std::string_view path) {
  if (const auto at = known_.find(path); at != known_.end()) return at->second;
  fs::path file = path;
  std::error_code ignored;
  for (std::size_t i = 0; i < folders_.size() && file.is_relative() && !fs::exists(file, ignored); ++i) {
    if (fs::exists(folders_[i] / path, ignored)) file = folders_[i] / path;
  }
  Thumbnail thumbnail;
  if (!fs::exists(file, ignored)) {
    thumbnail.problem = "not found";
  } else {
    try {
      // As the model saw it: without transparency.
      thumbnail.uri = data_uri("image/webp", encode_webp(shrunk(load_rgb(file)), kQuality));
    } catch (const Error&) {
      thumbnail.problem = "not readable";
    }
  }
  return known_.emplace(std::string(path), std::move(thumbnail)).first->second;
}

void Thumbnails::draw(Html& html, std::string_view path, std::string_view alt) {
  const Thumbnail& thumbnail = find(path);
  const std::string name = fs::path(path).filename().string();
  if (!thumbnail.uri.empty()) {
    html.empty("img", {{"src", thumbnail.uri}, {"alt", std::string(alt)}, {"title", name}});
    return;
  }
  const auto box = html.element("span", {{"class", "missing"}, {"title", std::string(path)}});
  html.leaf("b", {}, name);
  html.text(" " + thumbnail.problem);
}

std::string image_uri(const Image& image) {
  if (std::max(image.width, image.height) <= kLosslessSide) return data_uri("image/png", encode_png(image));
  return data_uri("image/webp", encode_webp(image, kLargeQuality));
}

}  // namespace vicha
