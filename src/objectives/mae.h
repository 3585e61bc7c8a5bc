// Masked image modelling in its three variants (method, section 3, MAE).
#pragma once

#include "objectives/objective.h"

namespace vicha {

inline constexpr Choice<MaeVariant> kMaeVariantNames[] = {{"unimodal", MaeVariant::kUnimodal},
                                                          {"cross_modal", MaeVariant::kCrossModal},
                                                          {"uni_cross_modal", MaeVariant::kUniCrossModal}};

struct MaeOptions : ObjectiveOptions {
  double mask_ratio = 0.75;
  MaeVariant variant = MaeVariant::kUnimodal;

  void describe(Visitor& v) {
    ObjectiveOptions::describe(v);
    v.field({"mask_ratio", "", "Share of the patches that are hidden", 0, 1}, mask_ratio);
    v.choice({"variant", "", "Who reconstructs: a decoder, the fusion layers, or both"}, variant, kMaeVariantNames);
  }
  /// kNone where the objective is off.
  MaeVariant kind() const { return enabled ? variant : MaeVariant::kNone; }
};

/// Mean squared error of the hidden patches: prediction (B * H, P) in the order of `order`'s tail, target (B, N, P).
at::Tensor mae_loss(const at::Tensor& prediction, const at::Tensor& target_BNP, const at::Tensor& order_BN);

class MaeObjective : public Objective {
 public:
  explicit MaeObjective(const MaeOptions& options) : options_(options) {}
  std::string_view name() const override { return "mae"; }
  const ObjectiveOptions& options() const override { return options_; }
  void want(Wants& wants, const Distillation&) const override { wants.visible_patches = true; }
  at::Tensor loss(Encodings& encodings, const Distillation& distillation) const override;

 private:
  MaeOptions options_;
};

}  // namespace vicha
