// Masked image modelling in its three variants (method, section 3, MAE).
#pragma once

#include "objectives/mae_decoder.h"
#include "objectives/objective.h"

namespace vicha {

inline constexpr Choice<MaeVariant> kMaeVariantNames[] = {{"unimodal", MaeVariant::kUnimodal},
                                                          {"cross_modal", MaeVariant::kCrossModal},
                                                          {"uni_cross_modal", MaeVariant::kUniCrossModal}};

struct MaeOptions : ObjectiveOptions {
  double mask_ratio = 0.75;
  MaeVariant variant = MaeVariant::kUnimodal;
  MaeDecoderOptions decoder;

  void describe(Visitor& v);
  void check(const ModelOptions& model) const override;
  std::string note() const override;
};

/// Mean squared error of the hidden patches: prediction (B * H, P) in the order of `order`'s tail, target (B, N, P).
at::Tensor mae_loss(const at::Tensor& prediction, const at::Tensor& target_BNP, const at::Tensor& order_BN);

class MaeObjective : public Objective {
 public:
  /// Registers what MaeDecoder does.
  MaeObjective(const MaeOptions& options, Vicha& model);
  const ObjectiveOptions& options() const override { return options_; }
  bool trains_fusion() const override { return options_.variant != MaeVariant::kUnimodal; }
  std::string_view heads() const override { return "mae_decoder"; }
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override;

  const MaeOptions& mae_options() const { return options_; }
  const MaeDecoder& decoder() const { return decoder_; }

 private:
  MaeOptions options_;
  MaeDecoder decoder_;
};

/// One step of it; its parts are public for the parity runner and for reports.
class MaeStep : public ObjectiveStep {
 public:
  MaeStep(const MaeObjective& objective, Encodings& encodings) : objective_(objective), encodings_(encodings) {}

  void join_image(const at::Tensor& patches_BND, JoinedRows& pass) override;
  at::Tensor loss() override;

  /// (B, N): the patches, the visible ones first.
  const at::Tensor& patch_order();
  /// States of class token and visible patches (B, 1 + visible, D_image).
  at::Tensor latent();
  /// Predicted pixels of the hidden patches (B * H, P), in the order of patch_order's tail: by the decoder, and by the
  /// fusion layers.
  at::Tensor unimodal();
  at::Tensor cross_modal();

 private:
  const MaeObjective& objective_;
  Encodings& encodings_;
  at::Tensor patch_order_;
  std::int64_t visible_ = 0;
  JoinedRows::Part part_ = 0;
};

/// "mae".
ObjectiveKind mae_kind();

}  // namespace vicha
