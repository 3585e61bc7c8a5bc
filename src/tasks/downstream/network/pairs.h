// Texts and their pictures through all encoders: what the heads of the downstream tasks read. Online or momentum,
// whichever encoders are given.
// B pairs, N patches, P numbers of a patch, T text rows, D width.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/encoders.h"
#include "models/fusion.h"

namespace vicha {

/// Which states of the last fusion layer are wanted.
enum class FusedRows {
  kCls,  ///< of each text's first token: (B, D)
  kAll   ///< of all real tokens, text after text: (T, D)
};

struct PairStates {
  ImageStates image;
  TextStates text;
  at::Tensor fused;                   ///< (B, D) or (T, D)
  std::vector<std::int64_t> lengths;  ///< rows of `fused` of each pair
};

/// Pictures as patch_rows takes them (B, 3, R, R) or (B, N, P), concepts (undefined where the model has none), and
/// the texts, the i-th beside the i-th picture.
PairStates encode_pairs(const Encoders& encoders, const at::Tensor& pictures, const Tokens& concepts, PackedText texts,
                        FusedRows rows, const Dropout& dropout);

/// From states that are there already: text i is fused with picture `image_of[i]`, so that a picture with many texts
/// is encoded, and its keys and values `kv` (Bert::image_kv) are made, once. (X, D) or (T, D).
at::Tensor fuse_texts(const Encoders& encoders, const TextStates& texts, const std::vector<at::Tensor>& kv,
                      const FusedImages& images, const std::vector<std::int64_t>& image_of, FusedRows rows,
                      const Dropout& dropout, AttentionWatch* watch = nullptr);

}  // namespace vicha
