// What the tests of a step share: a tiny model, a batch for it, the objectives of a recipe over it, and draws that
// repeat themselves.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <optional>

#include "objectives/hitc.h"
#include "objectives/mae.h"
#include "objectives/masking.h"
#include "objectives/pretrain_step.h"

namespace vicha {

/// A model whose step takes milliseconds; no dropout, so that two runs agree.
inline ModelOptions tiny() {
  ModelOptions m;
  m.vit = {32, 8, 24, 5, 3};
  m.text.vocabulary = 60;
  m.text.max_positions = 20;
  m.text.width = 24;
  m.text.heads = 4;
  m.text.inner = 40;
  m.text.text_layers = 3;
  m.text.fusion_layers = 2;
  m.text.dropout = 0.0;
  m.text.cls_id = 2;
  m.text.mask_id = 4;
  m.concepts.layers = 1;
  m.embed_dim = 10;
  m.queue_size = 14;
  return m;
}

/// Captions of those lengths: [CLS], then words.
inline Tokens tokens(const std::vector<std::int64_t>& lengths, Rng& rng) {
  const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  Tokens t;
  t.lengths = lengths;
  t.ids = at::zeros({static_cast<std::int64_t>(lengths.size()), longest}, at::kLong);
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    for (std::int64_t j = 0; j < lengths[i]; ++j) {
      t.ids[static_cast<std::int64_t>(i)][j] = j == 0 ? 2 : static_cast<std::int64_t>(5 + rng.below(55));
    }
  }
  return t;
}

/// Pairs with concepts and masked words. With four pairs two are of one picture, and two have the same caption.
inline Batch batch(std::uint64_t seed, const std::vector<std::int64_t>& lengths = {5, 9, 3, 7}, double masked = 0.4) {
  const auto pairs = static_cast<std::int64_t>(lengths.size());
  Rng rng(seed);
  Batch b;
  at::manual_seed(static_cast<std::int64_t>(seed));
  b.image = at::randn({pairs, 3, 32, 32});
  b.text = tokens(lengths, rng);
  std::vector<std::int64_t> concepts = {4, 2, 6, 1};
  concepts.resize(lengths.size(), 3);
  b.concepts = tokens(concepts, rng);
  MaskingOptions masking;
  masking.probability = masked;
  masking.cls_id = 2;
  masking.mask_id = 4;
  masking.vocabulary = 60;
  b.add(mask_words(b.text, masking, rng));
  b.image_ids = at::tensor(std::vector<std::int64_t>{7, 8, 7, 9}).slice(0, 0, pairs);
  b.caption_ids = at::tensor(std::vector<std::int64_t>{1, 1, 2, 3}).slice(0, 0, pairs);
  return b;
}

/// All objectives, as small.
inline ObjectivesOptions recipe() {
  ObjectivesOptions o;
  o.get<HitcOptions>().levels = 2;
  o.get<MaeOptions>().decoder = {24, 4, 2};
  return o;
}

/// A model and the objectives whose heads it holds.
struct Parts {
  explicit Parts(const ObjectivesOptions& objectives, const ModelOptions& options = tiny())
      : model(options, 5), set(objectives, model), step(objectives, set, model) {}
  Vicha model;
  ObjectiveSet set;
  PretrainStep step;
};

/// What fusion gains by similarity starts at nothing; here it has learnt something.
inline void fill_similarity(Vicha& model) {
  const at::NoGradGuard guard;
  at::manual_seed(8);
  for (const char* name : {"word_similarity", "patch_similarity", "word_similarity_m", "patch_similarity_m"}) {
    at::Tensor(model.parameters().parameter(name).value).normal_();
  }
}

/// Draws once and gives the same ever after, so that steps with different objectives see the same choices. Holds for
/// batches of one size.
class RepeatedDraws : public Draws {
 public:
  explicit RepeatedDraws(std::uint64_t seed) : rng_(seed), random_(rng_) {}

  at::Tensor patch_order(std::int64_t batch, std::int64_t patches) override {
    if (!order_) order_ = random_.patch_order(batch, patches);
    return *order_;
  }
  std::vector<std::int64_t> negatives(const at::Tensor& weights_BB, NegativeSide side) override {
    const auto at = negatives_.find(side);
    return at != negatives_.end() ? at->second : negatives_[side] = random_.negatives(weights_BB, side);
  }
  Dropout dropout(double) override { return {}; }

 private:
  Rng rng_;
  RandomDraws random_;
  std::optional<at::Tensor> order_;
  std::map<NegativeSide, std::vector<std::int64_t>> negatives_;
};

}  // namespace vicha
