// What a training or evaluation step reads. Made by `data`, on the host, pinned where a GPU is used.
// B pictures or pairs, L text tokens, K concept tokens, M masked words.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace vicha {

/// Token ids padded on the right.
struct Tokens {
  at::Tensor ids;                     ///< (B, L) int64
  std::vector<std::int64_t> lengths;  ///< real tokens of each row, 1..L

  bool defined() const { return ids.defined(); }
  std::int64_t size() const { return static_cast<std::int64_t>(lengths.size()); }
};

/// Input and answers of masked language modelling. Positions are known when the batch is made, so that no step has to
/// ask the device how many there are.
struct MaskedWords {
  at::Tensor ids;                       ///< (B, L) int64: the text with words replaced
  std::vector<std::int64_t> positions;  ///< (M) places in the flattened (B, L), ascending
  at::Tensor labels;                    ///< (M) int64: the original ids there

  bool defined() const { return ids.defined(); }
};

struct Batch {
  at::Tensor image;                   ///< (B, 3, R, R) fp32, normalised
  Tokens text;                        ///< captions
  Tokens concepts;                    ///< joined concept words; undefined where the model has none
  MaskedWords masked;                 ///< undefined where no objective asks for it
  at::Tensor image_ids;               ///< (B) int64, equal for the same picture
  at::Tensor caption_ids;             ///< (B) int64, equal for the same caption text
  std::vector<std::int64_t> records;  ///< (B) place of each sample in the source, for messages

  std::int64_t size() const { return text.defined() ? text.size() : (image.defined() ? image.size(0) : 0); }
};

}  // namespace vicha
