// What an answer looks at: Grad-CAM of a fusion layer's attention to the picture, word by word, and of the image
// encoder's own attention by the contrast (method, section 5.5). Evaluation mode; may be called under NoGradGuard, and
// gives no tensor that remembers a graph.
// With joint fusion a map's N are the regions instead of the patches, but for maps of the contrast (map_grid).
// X texts, T their real tokens, text after text; B pictures, N patches (row-major), E common embedding.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "nn/linear.h"
#include "nn/position.h"
#include "tasks/downstream/network/pairs.h"

namespace vicha {

/// Of fused rows (pairs.h), the number whose gradient is looked at: a sum over the texts, of each of which it reads
/// that one's rows alone, so that the sum's gradient is each text's own.
using FusedNumber = std::function<at::Tensor(const at::Tensor& fused)>;

/// The layer that is looked at where nobody names one, counted over all BERT layers from 0: the third fusion layer
/// (8 of the paper's model), or where there are fewer than four the last but one. In the last one answers that are read
/// at [CLS] look through [CLS] alone, so that no other word has a map; with a single fusion layer it is so.
std::int64_t usual_map_layer(const TextOptions& text);
/// Its number among the fusion layers. Throws UsageError that names the key `grounding.layer` and the layers that there
/// are.
std::int64_t fusion_layer_of(const TextOptions& text, std::int64_t layer, std::int64_t copies = 1);

/// What maps of the fusion layers and of similarities lie over: the patches of a picture, or its regions.
PatchGrid map_grid(const ModelOptions& options);

/// Mean over heads of A * max(dA, 0), A the attention of text rows to patches in BERT layer `layer`, dA the gradient of
/// `number`: (T, N). Arguments as fuse_texts'.
at::Tensor word_maps(const Encoders& encoders, const TextStates& texts, const std::vector<at::Tensor>& kv,
                     const FusedImages& images, const std::vector<std::int64_t>& image_of, FusedRows rows,
                     std::int64_t layer, const FusedNumber& number);
/// Patch columns of a map over a picture's tokens [class, patches, concepts]: (T, S) -> (T, N).
at::Tensor patch_columns(const at::Tensor& map_TS, const VitOptions& vit);
/// Of what a fusion layer was seen to look at (AttentionWatch::map), the texts' rows and the columns of the patches
/// that it reads; with joint fusion of the regions of each text's picture number `picture`. (T, N)
at::Tensor picture_columns(const Encoders& encoders, const at::Tensor& map_TK, const TextStates& texts,
                           std::int64_t picture = 0);

/// Mean of each text's rows over `padded` tokens, those behind its end being 0: (T, N) -> (X, N).
at::Tensor text_maps(const at::Tensor& words_TN, const std::vector<std::int64_t>& lengths, std::int64_t padded);

/// Maps of "they match": the number is the sum of the logits of class 1. (T, N)
at::Tensor matching_maps(const Encoders& encoders, const Linear& match_head, const TextStates& texts,
                         const std::vector<at::Tensor>& kv, const FusedImages& images,
                         const std::vector<std::int64_t>& image_of, std::int64_t layer);

/// Maps of the contrast: s = sum of f . g / temperature, A the attention of ViT block `block` (from 0), of its class
/// token's row to the patches. Text i stands beside picture `image_of[i]`; a picture passes the encoder once, and has
/// one backward pass for each of its texts. (X, N). Throws UsageError naming the key `grounding.block` if there is no
/// such block.
at::Tensor contrast_maps(const Encoders& encoders, const at::Tensor& temperature, const ImageInput& images,
                         const at::Tensor& text_features_XE, const std::vector<std::int64_t>& image_of,
                         std::int64_t block);

/// Of each word, how much more a patch is like it than the picture's patches are in the mean, 0 where it is less; of
/// [CLS] 0. Text i is compared with picture `image_of[i]`. Words (T, E) and what pictures show (I, N, E), rows of
/// length 1 in one space -> (T, N).
at::Tensor similarity_maps(const at::Tensor& words_TE, const at::Tensor& shown_INE, const PackedText& pack,
                           const std::vector<std::int64_t>& image_of);
/// The same by the model's own maps (model.fusion.similarity). Throws UsageError naming the key `grounding.map` if it
/// has none.
at::Tensor similarity_maps(const TextStates& texts, const FusedImages& images,
                           const std::vector<std::int64_t>& image_of);

}  // namespace vicha
