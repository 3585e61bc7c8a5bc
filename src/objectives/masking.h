// Choosing the words of masked language modelling (method, section 3, MLM).
// B captions, L tokens, M masked words.
#pragma once

#include "base/random.h"
#include "models/batch.h"

namespace vicha {

/// Input and answers of masked language modelling. Positions are known when the batch is made, so that no step has to
/// ask the device how many there are.
struct MaskedWords : BatchTargets {
  at::Tensor ids;                       ///< (B, L) int64: the text with words replaced
  std::vector<std::int64_t> positions;  ///< (M) indices into the flattened (B, L), ascending
  at::Tensor labels;                    ///< (M) int64: the original ids there

  void for_each_tensor(const TensorVisit& visit) override;
};

struct MaskingOptions {
  double probability = 0.15;  ///< share of the tokens that are to be predicted
  std::int64_t pad_id = 0, cls_id = 101, mask_id = 103;
  std::int64_t vocabulary = 30522;
};

/// Each token except [CLS] and padding is chosen with the given probability; of the chosen 80 % become [MASK], 10 % a
/// random id of the whole vocabulary, 10 % stay. May choose none.
MaskedWords mask_words(const Tokens& text, const MaskingOptions& options, Rng& rng);

/// The same from recorded draws, each (B, L): chosen, becomes [MASK], becomes random, random ids.
MaskedWords mask_words(const Tokens& text, const MaskingOptions& options, const at::Tensor& chosen,
                       const at::Tensor& mask, const at::Tensor& random, const at::Tensor& words);

}  // namespace vicha
