// Statements about two pictures through all encoders: the pictures are encoded apart, each with its own concepts, and
// each fusion layer's first copy reads the first picture, its second copy the second (method, section 5.3); with joint
// fusion both stand in one sequence with the text, each marked by its type. A model that reads one picture with a text
// (model.fusion.images = 1) reads the statement with either picture apart, and both fused [CLS] are judged side by
// side, as ViLT (Kim et al., 2021) and METER (Dou et al., 2022) do.
// B statements, S tokens of a picture, D width, F = D, or 2 D where the pictures are read apart.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "models/encoders.h"
#include "models/fusion.h"
#include "tasks/downstream/network/attention_maps.h"

namespace vicha {

/// That a statement is about.
inline constexpr std::int64_t kPicturesOfStatement = 2;

struct StatementInput {
  struct Side {
    at::Tensor pictures;  ///< as patch_rows takes them, on the model's device
    Tokens concepts;      ///< undefined where the model has none
  };
  std::array<Side, kPicturesOfStatement> sides;
  Tokens texts;
};

/// Statements and their pictures before the fusion: the first side's pictures, then the second's.
struct StatementStates {
  FusedImages images;
  std::vector<at::Tensor> kv;  ///< Bert::image_kv of those
  TextStates text;
  std::vector<std::int64_t> first, second;  ///< of each statement, its pictures among them
};
StatementStates statement_states(const Encoders& encoders, const StatementInput& input, const Dropout& dropout);

/// Passes of a statement through the fusion layers: 1, or one a picture where they are read apart.
std::int64_t passes_of_statement(const ModelOptions& options);

/// Fused [CLS] (B, F) of statements, the i-th about the i-th picture of each side.
at::Tensor encode_statements(const Encoders& encoders, const StatementInput& input, const Dropout& dropout);

/// From states that are there already: text i is about pictures `first[i]` and `second[i]` of `images`, whose keys and
/// values are `kv` (Bert::image_kv). `watch`: fuse; of the copies of the fusion layers, one after the other.
at::Tensor fuse_statements(const Encoders& encoders, const TextStates& texts, const std::vector<at::Tensor>& kv,
                           const FusedImages& images, const std::vector<std::int64_t>& first,
                           const std::vector<std::int64_t>& second, const Dropout& dropout,
                           AttentionWatch* watch = nullptr);

/// What a number rests on in the pictures of side `side`: word_maps (tasks/downstream/network/attention_maps.h) of that
/// side's copy of the layer that is looked at where nobody names one. `number`: of the fused [CLS]. (T, N)
at::Tensor statement_maps(const Encoders& encoders, const StatementStates& states, std::size_t side,
                          const FusedNumber& number);

}  // namespace vicha
