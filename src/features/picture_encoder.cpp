#include "features/picture_encoder.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "image/clip_preprocess.h"
#include "image/native.h"
#include "image/resize.h"
#include "towers/registry.h"
#include "train/device.h"

namespace vicha {
namespace {

using Interpolation = TowerInput::Interpolation;

/// What a resized picture may have at least, in pixels, whatever the tower reads: 192 MB of RGB.
constexpr std::int64_t kMostResized = std::int64_t{1} << 26;

const PictureView kAsItIs;

struct PixelSize {
  int width = 0, height = 0;
};

PixelSize resized_size(const TowerInput& input, std::int64_t width, std::int64_t height, std::string_view name) {
  const std::int64_t to = input.resize_height;
  if (input.resize == TowerInput::Resize::kExact) {
    return {static_cast<int>(input.resize_width), static_cast<int>(to)};
  }
  const std::int64_t longer = to * std::max(width, height) / std::min(width, height);
  if (to * longer > std::max(kMostResized, 2 * to * to)) {
    throw DataError(name, fmt::format("a picture of {} x {} pixels is too narrow to be resized to a shorter side of {}",
                                      width, height, to));
  }
  return width <= height ? PixelSize{static_cast<int>(to), static_cast<int>(longer)}
                         : PixelSize{static_cast<int>(longer), static_cast<int>(to)};
}

Filter filter_of(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::kBilinear:
      return Filter::kBilinear;
    case Interpolation::kLanczos:
      return Filter::kLanczos;
    default:
      return Filter::kBicubic;
  }
}

Image resized_rgb(const TowerInput& input, const Image& rgb, PixelSize size) {
  if (input.interpolation == Interpolation::kNearest) return resize_nearest(rgb, size.width, size.height);
  return resize_by(filter_of(input.interpolation), rgb, size.width, size.height);
}

/// Python's round((size - side) / 2): halves go to the even neighbour.
int centre_offset(int size, std::int64_t side) {
  return static_cast<int>(std::nearbyint(static_cast<double>(size - side) / 2.0));
}

Image as_rgb(const Image& image) {
  constexpr PixelMode kModes[] = {PixelMode::kGrey, PixelMode::kGreyAlpha, PixelMode::kRgb, PixelMode::kRgba};
  VICHA_ASSERT(image.channels >= 1 && image.channels <= 4);
  NativeImage native;
  native.mode = kModes[image.channels - 1];
  native.pixels = image;
  return to_rgb(std::move(native));
}

SourceWeights weights_of(const TowerIdentity& identity, const DecodeOptions& decode) {
  SourceWeights weights{identity.kind, identity.name, identity.sha256, identity.view};
  if (decode.apply_exif) weights.view += ", turned as EXIF says";
  if (decode.least_side > 0) weights.view += ", JPEG at scale";
  return weights;
}

}  // namespace

std::string PictureView::describe() const {
  if (*this == PictureView{.flip = flip}) return flip ? "flipped" : "whole";
  return fmt::format("part {:.2f} {:.2f} {:.2f} {:.2f}{}", top, left, height, width, flip ? ", flipped" : "");
}

Box view_box(const PictureView& view, int width, int height) {
  VICHA_ASSERT(view.top >= 0 && view.left >= 0 && view.height > 0 && view.width > 0 && view.top + view.height < 1.001 &&
               view.left + view.width < 1.001);
  const auto cut = [](double from, double share, int size) {
    const int begin = std::min(static_cast<int>(std::lround(from * size)), size - 1);
    const int end = std::clamp(static_cast<int>(std::lround((from + share) * size)), begin + 1, size);
    return std::pair(begin, end - begin);
  };
  const auto [x, columns] = cut(view.left, view.width, width);
  const auto [y, rows] = cut(view.top, view.height, height);
  return {x, y, columns, rows};
}

std::unique_ptr<PictureEncoder> PictureEncoder::open(std::string_view spec, const std::string& device,
                                                     const DecodeOptions& decode) {
  auto tower = open_image_tower(spec);
  tower->to(choose_device(device));
  return std::make_unique<PictureEncoder>(std::move(tower), decode);
}

PictureEncoder::PictureEncoder(std::unique_ptr<ImageTower> tower, const DecodeOptions& decode)
    : tower_(std::move(tower)),
      decode_(decode),
      weights_(weights_of(tower_->identity(), decode)),
      normalizer_(tower_->input().mean, tower_->input().std) {
  if (decode_.least_side <= 0) return;
  const TowerInput& input = tower_->input();
  const auto side = static_cast<int>(std::max(input.resize_height, input.resize_width));
  decode_.least_side = std::max(decode_.least_side, clip_least_side(side));
  if (input.interpolation == Interpolation::kNearest) decode_.least_side = 0;  // it would find other pixels
}

PictureEncoder::Grid PictureEncoder::grid() const {
  if (patch_width() == 0) return {};
  const std::lock_guard lock(knows_grid_);
  if (!grid_) {
    const TowerFeatures tried = encode(at::zeros({1, 3, height(), width()}), true);
    grid_ = Grid{tried.rows, tried.columns};
  }
  return *grid_;
}

void PictureEncoder::finish(Image&& resized, std::span<float> out) const {
  const auto rows = static_cast<int>(height()), columns = static_cast<int>(width());
  VICHA_ASSERT(resized.width >= columns && resized.height >= rows);
  if (resized.width == columns && resized.height == rows) return normalizer_.apply(resized, out);
  normalizer_.apply(
      crop(resized, {centre_offset(resized.width, columns), centre_offset(resized.height, rows), columns, rows}), out);
}

void PictureEncoder::prepare(const Image& image, const PictureView& view, std::span<float> out,
                             std::string_view name) const {
  if (image.channels != 3) return prepare(as_rgb(image), view, out, name);
  const TowerInput& input = tower_->input();
  if (view == kAsItIs) {
    return finish(resized_rgb(input, image, resized_size(input, image.width, image.height, name)), out);
  }
  Image part = crop(image, view_box(view, image.width, image.height));
  if (view.flip) part = flip_horizontal(part);
  finish(resized_rgb(input, part, resized_size(input, part.width, part.height, name)), out);
}

void PictureEncoder::prepare(std::span<const std::uint8_t> bytes, std::string_view name, const PictureView& view,
                             std::span<float> out) const {
  prepare_views(bytes, name, {&view, 1}, out);
}

void PictureEncoder::prepare_views(std::span<const std::uint8_t> bytes, std::string_view name,
                                   std::span<const PictureView> views, std::span<float> out) const {
  const std::size_t one = 3 * static_cast<std::size_t>(height()) * static_cast<std::size_t>(width());
  VICHA_ASSERT(out.size() == one * views.size());
  DecodeOptions how = decode_;
  if (views.size() != 1 || views[0] != kAsItIs) how.least_side = 0;  // parts of few pixels need them all
  NativeImage native = decode_native(bytes, name, how);
  const int shrunk = native.shrunk, full_width = native.full_width, full_height = native.full_height;
  const Image rgb = to_rgb(std::move(native));
  if (shrunk > 1) {
    const TowerInput& input = tower_->input();
    const PixelSize size = resized_size(input, full_width, full_height, name);
    finish(resize_part(filter_of(input.interpolation), rgb, static_cast<double>(full_width) / shrunk,
                       static_cast<double>(full_height) / shrunk, size.width, size.height),
           out);
    return;
  }
  for (std::size_t v = 0; v < views.size(); ++v) prepare(rgb, views[v], out.subspan(v * one, one), name);
}

TowerFeatures PictureEncoder::encode(const at::Tensor& pixels, bool patches) const {
  const at::NoGradGuard no_grad;
  std::unique_lock turn(on_device_, std::defer_lock);
  // A device has memory for one batch rather than for one of each thread.
  if (!tower_->device().is_cpu()) turn.lock();
  TowerFeatures features = tower_->encode(pixels, patches);
  features.pooled_BP = features.pooled_BP.to(at::kCPU, at::kFloat);
  if (features.patches_BND.defined()) features.patches_BND = features.patches_BND.to(at::kCPU, at::kFloat);
  return features;
}

}  // namespace vicha
