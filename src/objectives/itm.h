// Image–text matching with hard negatives (method, section 3, ITM).
#pragma once

#include <optional>

#include "objectives/objective.h"

namespace vicha {

/// Logits (3 B, 2): positives first (label 1), then pairs with a negative image, then with a negative text (label 0).
/// Pairs for which no negative could be drawn (-1) are left out of the mean. 0 for no pairs.
at::Tensor itm_loss(const at::Tensor& logits, const std::vector<std::int64_t>& negative_image,
                    const std::vector<std::int64_t>& negative_text);

class ItmObjective : public Objective {
 public:
  /// Registers "itm_head".
  ItmObjective(const ObjectiveOptions& options, Vicha& model);
  const ObjectiveOptions& options() const override { return options_; }
  void want(Wants& wants) const override { wants.features = true; }  // negatives are drawn by similarity
  bool trains_fusion() const override { return true; }
  std::string_view heads() const override { return "itm_head"; }
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override;

  /// (P, D_text) -> (P, 2): "no match" and "match".
  const Linear& head() const { return head_; }

 private:
  ObjectiveOptions options_;
  Linear head_;
};

/// One step of it; its parts are public for the parity runner.
class ItmStep : public ObjectiveStep {
 public:
  ItmStep(const Linear& head, Encodings& encodings) : head_(head), encodings_(encodings) {}

  void join_fusion(FusionPass& pass) override;
  at::Tensor loss() override;

  struct Negatives {
    at::Tensor weights_t2i, weights_i2t;    ///< (B, B), positives zeroed
    std::vector<std::int64_t> image, text;  ///< for each text an image, for each image a text; -1: none
  };
  const Negatives& negatives();
  /// (3 B, 2): positives, (negative image, text), (image, negative text).
  at::Tensor logits();

 private:
  const Linear& head_;
  Encodings& encodings_;
  std::optional<Negatives> negatives_;
  FusionPass::Part part_ = 0;
};

/// "itm". Its head exists in every model: re-ranking reads it.
ObjectiveKind itm_kind();

}  // namespace vicha
