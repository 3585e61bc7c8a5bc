// Word order, an objective beside the method's: some words of a caption change places, and the model, which sees the
// picture, says of every word whether it stands where it was.
#pragma once

#include "objectives/objective.h"

namespace guests {

// M words of all captions: their tokens but [CLS].

struct OrderOptions : vicha::ObjectiveOptions {
  double moved = 0.3;

  OrderOptions() { enabled = false; }  // a recipe asks for it by name
  void describe(vicha::Visitor& v);
  void check(const vicha::ModelOptions& model) const override;
  std::string note() const override;
};

/// Captions with some words in each other's places.
struct ShuffledWords : vicha::BatchTargets {
  at::Tensor ids;    ///< (B, L), padded as the captions are
  at::Tensor moved;  ///< (M) int64: 1 where another token stands now
  void for_each_tensor(const vicha::TensorVisit& visit) override {
    visit(ids);
    visit(moved);
  }
};
/// Each token but [CLS] is drawn with probability `share`; those of a caption that were drawn change places at random.
ShuffledWords shuffle_words(const vicha::Tokens& captions, double share, vicha::Rng& rng);

/// Cross-entropy in nats, mean over the words: logits (M, 2) of "in its place" and "moved", moved (M).
at::Tensor order_loss(const at::Tensor& logits_M2, const at::Tensor& moved_M);

class OrderObjective : public vicha::Objective {
 public:
  /// Registers "order_head".
  OrderObjective(const OrderOptions& options, vicha::Vicha& model);
  const vicha::ObjectiveOptions& options() const override { return options_; }
  bool trains_fusion() const override { return true; }
  std::string_view heads() const override { return "order_head"; }
  bool has_targets() const override { return true; }
  void add_targets(vicha::Batch& batch, vicha::Rng& rng) const override;
  std::unique_ptr<vicha::ObjectiveStep> begin(vicha::Encodings& encodings,
                                              const vicha::Distillation& distillation) const override;

  const vicha::Linear& head() const { return head_; }

 private:
  OrderOptions options_;
  vicha::Linear head_;
};

/// "order".
vicha::ObjectiveKind order_kind();

}  // namespace guests
