// A source of concepts: two towers that put images and words into one space. CLIP (concepts/source/clip_source), a
// trained model's own contrast (tasks/vicha_source). B images, n texts, E width of the space.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "concepts/source/provenance.h"
#include "image/image.h"

namespace vicha {

class ConceptSource {
 public:
  virtual ~ConceptSource() = default;

  virtual const SourceWeights& weights() const = 0;
  virtual std::int64_t width() const = 0;  ///< E
  virtual int side() const = 0;            ///< of the square image the tower reads, pixels
  /// What cosines are multiplied by before a softmax: CLIP's logit scale, 1 / temperature of a trained model.
  virtual double scale() const = 0;

  /// An image file's bytes as the tower wants it, into `out` [3, side, side]. Thread-safe. Throws
  /// DataError naming `name` if it cannot be read.
  virtual void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const = 0;
  /// The same from pixels in memory (regions are cut from them).
  virtual void prepare(const Image& image, std::span<float> out) const = 0;

  /// Images that best go through the tower together: on a CPU those of one thread.
  virtual std::int64_t batch() const { return 16; }
  /// (B, 3, side, side) -> (B, E), fp32 on the CPU, not normalised. Thread-safe.
  virtual at::Tensor embed_images(const at::Tensor& pixels) = 0;
  /// -> (n, E), fp32 on the CPU, not normalised. Texts that are too long are cut as the model's own code does.
  virtual at::Tensor embed_texts(std::span<const std::string> texts) = 0;
};

}  // namespace vicha
