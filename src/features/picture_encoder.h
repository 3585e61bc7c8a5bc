// A tower of pictures with all that it takes to feed it files: decoding, resizing and normalising as its TowerInput
// says. B pictures, H x W pixels, N patches, D width of a patch, P width of the pooled feature.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "concepts/source/provenance.h"
#include "image/decode.h"
#include "image/image.h"
#include "image/normalize.h"
#include "towers/tower.h"

namespace vicha {

/// What is done to a picture before its features are taken, so that training on stored features still sees it in more
/// than one way. View 0 is always the picture as it is.
struct PictureView {
  bool flip = false;                                ///< left to right
  double top = 0, left = 0, height = 1, width = 1;  ///< the part that is kept, in shares of the picture's sides

  /// "whole", "flipped", "part 0.10 0.20 0.70 0.70" (top, left, height, width), with ", flipped".
  std::string describe() const;
  bool operator==(const PictureView&) const = default;
};

/// The part of the picture in whole pixels: borders are rounded, and one pixel is left at least.
Box view_box(const PictureView& view, int width, int height);

/// Any number of threads may share one.
class PictureEncoder {
 public:
  /// Opens the tower (towers/registry.h) and puts it on `device` ("auto", "cpu", "cuda:N"). Throws as it does.
  static std::unique_ptr<PictureEncoder> open(std::string_view spec, const std::string& device,
                                              const DecodeOptions& decode = {});
  /// `decode.least_side` above 0 lets large JPEGs be decoded at 1/2 or 1/4 where the tower reads them whole (cheaper, a
  /// little off: image/clip_preprocess.h); this and `apply_exif` become part of the identity.
  explicit PictureEncoder(std::unique_ptr<ImageTower> tower, const DecodeOptions& decode = {});

  const ImageTower& tower() const { return *tower_; }
  /// The tower's identity as stores keep it: kind, name, sha256, view.
  const SourceWeights& weights() const { return weights_; }
  std::int64_t height() const { return tower_->input().height; }
  std::int64_t width() const { return tower_->input().width; }
  std::int64_t pooled_width() const { return tower_->pooled_width(); }
  std::int64_t patch_width() const { return tower_->patch_width(); }
  /// Grid of the patches at height() x width(): known after one picture has passed, which this does once. (0, 0) where
  /// the tower gives none.
  struct Grid {
    std::int64_t rows = 0, columns = 0;
  };
  Grid grid() const;

  /// A file's bytes as the tower wants them, into `out` [3, H, W]: RGB, cut and flipped as `view` says, resized with
  /// Pillow's filters, the centre (halves of a pixel as torchvision rounds them), normalised. Thread-safe. Throws
  /// DataError naming `name` if they are no picture, or one so narrow that resized it would not fit the memory.
  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, const PictureView& view,
               std::span<float> out) const;
  /// The same from pixels in memory; `name` is what errors call them.
  void prepare(const Image& image, const PictureView& view, std::span<float> out,
               std::string_view name = "picture") const;
  /// Several views of one file, decoded once, into `out` [V, 3, H, W].
  void prepare_views(std::span<const std::uint8_t> bytes, std::string_view name, std::span<const PictureView> views,
                     std::span<float> out) const;

  /// (B, 3, H, W) -> features on the CPU, fp32. Thread-safe; no gradients.
  TowerFeatures encode(const at::Tensor& pixels, bool patches) const;

 private:
  void finish(Image&& resized, std::span<float> out) const;

  std::unique_ptr<ImageTower> tower_;
  DecodeOptions decode_;
  SourceWeights weights_;
  Normalizer normalizer_;
  mutable std::mutex on_device_, knows_grid_;
  mutable std::optional<Grid> grid_;
};

}  // namespace vicha
