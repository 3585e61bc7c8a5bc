// A pass through the fusion layers: which rows of which texts attend to which image, and what is read of the result.
// P rows read, T text rows, D width.
#pragma once

#include <vector>

#include "models/bert.h"
#include "models/encoders.h"

namespace vicha {

/// What cross-attention sees: the rows of images of equal length, one after the other.
struct FusedImages {
  std::int64_t tokens = 0;         ///< rows of an image
  std::vector<std::int64_t> real;  ///< of each image: rows that may be attended to
  /// As ImageStates has them: null and undefined where words and patches are not compared.
  std::shared_ptr<const WordPatchSimilarity> similarity = nullptr;
  at::Tensor patches = {};

  FusedImages() = default;
  explicit FusedImages(const ImageStates& image)
      : tokens(image.tokens), real(image.real), similarity(image.similarity), patches(image.patches) {}
};

/// Texts (or parts of them) that go through the fusion layers together, each with one image.
struct FusionPlan {
  struct Sequence {
    std::int64_t begin, rows, real;  ///< rows of the text states, the real ones first
    std::int64_t image;              ///< image it attends to
    std::vector<std::int64_t> read;  ///< positions within the sequence that are read
  };
  std::vector<Sequence> sequences;

  /// Text `index` of a pack whose first row is row `offset` of the states.
  static Sequence sequence(const PackedText& pack, std::int64_t index, std::int64_t offset, std::int64_t image,
                           std::vector<std::int64_t> read = {});
  std::int64_t rows_read() const;
};

/// The plan as the layers want it.
struct FusionLayout {
  at::Tensor gather;   ///< rows of the text states, sequence after sequence
  at::Tensor read;     ///< (P) rows of the gathered ones that are read
  Bert::Fusion every;  ///< all rows through all layers
  Bert::Fusion some;   ///< the last layer at the rows that are read alone
};
FusionLayout lay_out(const FusionPlan& plan, const FusedImages& images, const at::Device& device);

/// What the layers take.
struct FusionInput {
  at::Tensor rows;             ///< (T, D) of the texts, sequence after sequence
  std::vector<at::Tensor> kv;  ///< of each layer
  FusionLayout layout;
};
/// The plan's rows of the texts with the images' keys and values `kv` (Bert::image_kv). Where words and patches are
/// compared, rows and patches gain by it, and every sequence then has keys and values of its own: those of its image,
/// made once, and an outer product, since a change of a state along one vector changes them along one.
FusionInput fusion_input(const Bert& bert, const at::Tensor& text_states, const std::vector<at::Tensor>& kv,
                         const FusionPlan& plan, const FusedImages& images);

/// States of the rows that are read (P, D). `kv`: Bert::image_kv of the images' states. With `all_rows` every layer
/// runs at every row (the plain path) and those states (T, D) are left there. `watch`: Bert::Fusion; the rows it maps
/// are those of the plan's sequences, one after the other.
at::Tensor fuse(const Bert& bert, const at::Tensor& text_states, const std::vector<at::Tensor>& kv,
                const FusionPlan& plan, const FusedImages& images, const Dropout& dropout,
                at::Tensor* all_rows = nullptr, AttentionWatch* watch = nullptr);

}  // namespace vicha
