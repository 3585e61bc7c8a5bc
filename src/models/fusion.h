// A pass through the fusion layers: which rows of which texts attend to which images, and what is read of the result.
// P rows read, T text rows (with joint fusion also those of each text's images), D width.
#pragma once

#include <utility>
#include <vector>

#include "models/bert.h"
#include "models/encoders.h"

namespace vicha {

/// What the fusion layers see of pictures: the rows of images, one image after the other (ImageStates::fusion_rows).
struct FusedImages {
  std::vector<std::int64_t> begin;  ///< of each image: its first row
  std::vector<std::int64_t> real;   ///< of each image: rows that may be attended to
  std::int64_t rows = 0;            ///< of all
  /// As ImageStates has them: null and undefined where words and patches are not compared.
  std::shared_ptr<const WordPatchSimilarity> similarity = nullptr;
  at::Tensor patches = {};

  FusedImages() = default;
  explicit FusedImages(const ImageStates& images) { add(images); }
  /// An image of `tokens` rows, `visible` of them to be attended to.
  void add(std::int64_t tokens, std::int64_t visible);
  void add(const ImageStates& images);
};

/// Texts (or parts of them) that go through the fusion layers together, each with its images: one, or as many as the
/// model reads with a text.
struct FusionPlan {
  struct Sequence {
    std::int64_t begin, rows, real;    ///< rows of the text states, the real ones first
    std::vector<std::int64_t> images;  ///< those it attends to, in the order of the copies of a fusion layer
    std::vector<std::int64_t> read;    ///< positions within the sequence that are read
    /// With joint fusion: rows of the images that are read, behind those of the text; 0: class token, 1 + r: region r,
    /// of the text's c-th image c * (1 + R) further on.
    std::vector<std::int64_t> read_image = {};
  };
  std::vector<Sequence> sequences;

  /// Text `index` of a pack whose first row is row `offset` of the states.
  static Sequence sequence(const PackedText& pack, std::int64_t index, std::int64_t offset,
                           std::vector<std::int64_t> images, std::vector<std::int64_t> read = {});
  static Sequence sequence(const PackedText& pack, std::int64_t index, std::int64_t offset, std::int64_t image,
                           std::vector<std::int64_t> read = {}) {
    return sequence(pack, index, offset, std::vector{image}, std::move(read));
  }
  std::int64_t rows_read() const;
};

/// The plan as the layers want it.
struct FusionLayout {
  at::Tensor gather;   ///< rows of the text states, sequence after sequence; undefined with joint fusion
  at::Tensor read;     ///< (P) rows of the layers' that are read
  Bert::Fusion every;  ///< all rows through all layers
  Bert::Fusion some;   ///< the last layer at the rows that are read alone
};
/// For layers with cross-attention; joint ones: models/joint_fusion.h.
FusionLayout lay_out(const FusionPlan& plan, const FusedImages& images, const at::Device& device);

/// What the layers take.
struct FusionInput {
  at::Tensor rows;             ///< (T, D) of the texts, sequence after sequence; joint: of images and text of each
  std::vector<at::Tensor> kv;  ///< of each layer; none with joint fusion
  FusionLayout layout;
};
/// The plan's rows of the texts with the images' keys and values `kv` (Bert::image_kv). Where words and patches are
/// compared, rows and patches gain by it, and every sequence then has keys and values of its own: those of its image,
/// made once, and an outer product, since a change of a state along one vector changes them along one.
FusionInput fusion_input(const Bert& bert, const at::Tensor& text_states, const std::vector<at::Tensor>& kv,
                         const FusionPlan& plan, const FusedImages& images);

/// States of the rows that are read (P, D). `kv`: Bert::image_kv of what the images show (ImageStates::fusion_rows).
/// With `all_rows` every layer runs at every row (the plain path) and those states (T, D) are left there. `watch`:
/// Bert::Fusion; the rows it maps are those of the plan's sequences, one after the other.
at::Tensor fuse(const Bert& bert, const at::Tensor& text_states, const std::vector<at::Tensor>& kv,
                const FusionPlan& plan, const FusedImages& images, const Dropout& dropout,
                at::Tensor* all_rows = nullptr, AttentionWatch* watch = nullptr);

}  // namespace vicha
