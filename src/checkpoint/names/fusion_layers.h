// Fusion layers of a model that reads one picture with a text, for one that reads several.
#pragma once

#include <cstdint>
#include <string_view>

#include "checkpoint/tensors/state_dict.h"

namespace vicha {

struct FusionLayerCounts {
  std::int64_t text_layers = 0;    ///< F: layers before the fusion layers
  std::int64_t fusion_layers = 0;  ///< J: of a model with one picture
  std::int64_t images = 1;         ///< n: pictures read with a text
};

/// Layer F + j of text_encoder and text_encoder_m becomes the layers F + n j … F + n j + n - 1, all alike, where the
/// weights, by released names, have F + J layers; where they have F + n J already (released NLVR2 and text-assignment
/// models, runs of ours), nothing changes. Throws DataError naming `where` if copies of a layer, in such weights, do
/// not have the same keys and values of cross-attention, which they share. Weights of another depth stay as they are:
/// whoever loads them says what does not fit. What words gain by similarity with the picture (word_similarity) is
/// repeated likewise for each further picture of which the weights do not say it.
void repeat_fusion_layers(StateDict& weights, const FusionLayerCounts& counts, std::string_view where);

/// What a text's words gain where they are like its picture, for each further picture of which the weights do not say
/// it. (With joint fusion that is all that a model with several pictures lacks: the same layers read them.)
void repeat_word_similarity(StateDict& weights, std::int64_t images);

/// Of BERT's weights, whose layers are text_encoder's: layer k becomes text layer k and layer k of a joint decoder,
/// which is layer F + k of the text encoder, as far as either reaches.
void copy_text_layers(StateDict& weights, const FusionLayerCounts& counts);

}  // namespace vicha
