// A tower of pictures with all that it takes to feed it files: decoding, resizing and normalising as its TowerInput says.
// B pictures, H x W pixels, N patches, D width of a patch, P width of the pooled feature.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "concepts/source/provenance.h"
#include "image/decode.h"
#include "image/image.h"
#include "towers/tower.h"

namespace vicha {

/// What is done to a picture before its features are taken, so that training on stored features still sees it in more than
/// one way. View 0 is always the picture as it is.
struct PictureView {
  bool flip = false;                                    ///< left to right
  double top = 0, left = 0, height = 1, width = 1;      ///< the part that is kept, in shares of the picture's sides
};

class PictureEncoder {
 public:
  /// Opens the tower (towers/registry.h) and puts it on `device` ("auto", "cpu", "cuda:N"). Throws as it does.
  static std::unique_ptr<PictureEncoder> open(std::string_view spec, const std::string& device,
                                              const DecodeOptions& decode = {});
  explicit PictureEncoder(std::unique_ptr<ImageTower> tower, const DecodeOptions& decode = {});

  const ImageTower& tower() const { return *tower_; }
  /// The tower's identity as stores keep it: kind, name, sha256, view.
  const SourceWeights& weights() const { return weights_; }
  std::int64_t height() const { return tower_->input().height; }
  std::int64_t width() const { return tower_->input().width; }
  std::int64_t pooled_width() const { return tower_->pooled_width(); }
  std::int64_t patch_width() const { return tower_->patch_width(); }
  /// Grid of the patches at height() x width(): known after one picture has passed, which this does once. (0, 0) where the
  /// tower gives none.
  struct Grid {
    std::int64_t rows = 0, columns = 0;
  };
  Grid grid() const;

  /// A file's bytes as the tower wants them, into `out` [3, H, W]. Thread-safe. Throws DataError naming `name`.
  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, const PictureView& view,
               std::span<float> out) const;
  void prepare(const Image& image, const PictureView& view, std::span<float> out) const;

  /// (B, 3, H, W) -> features on the CPU, fp32. Thread-safe; no gradients.
  TowerFeatures encode(const at::Tensor& pixels, bool patches) const;

 private:
  std::unique_ptr<ImageTower> tower_;
  DecodeOptions decode_;
  SourceWeights weights_;
};

}  // namespace vicha
