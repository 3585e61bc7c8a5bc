// Image–text matching with hard negatives (method, section 3, ITM).
#pragma once

#include "objectives/objective.h"

namespace vicha {

/// Logits (3 B, 2): positives first (label 1), then pairs with a negative image, then with a negative text (label 0).
/// Pairs for which no negative could be drawn (-1) are left out of the mean.
at::Tensor itm_loss(const at::Tensor& logits, const std::vector<std::int64_t>& negative_image,
                    const std::vector<std::int64_t>& negative_text);

class ItmObjective : public Objective {
 public:
  explicit ItmObjective(const ObjectiveOptions& options) : options_(options) {}
  std::string_view name() const override { return "itm"; }
  const ObjectiveOptions& options() const override { return options_; }
  void want(Wants& wants, const Distillation&) const override { wants.itm = true; }
  at::Tensor loss(Encodings& encodings, const Distillation& distillation) const override;

 private:
  ObjectiveOptions options_;
};

}  // namespace vicha
