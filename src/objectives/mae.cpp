#include "objectives/mae.h"

#include <ATen/ATen.h>

namespace vicha {

at::Tensor mae_loss(const at::Tensor& prediction, const at::Tensor& target_BNP, const at::Tensor& order_BN) {
  const std::int64_t batch = order_BN.size(0), pixels = target_BNP.size(2), hidden = prediction.size(0) / batch;
  const at::Tensor index = order_BN.slice(1, order_BN.size(1) - hidden).unsqueeze(-1).expand({-1, -1, pixels});
  return at::mse_loss(prediction, target_BNP.gather(1, index).view({-1, pixels}));
}

at::Tensor MaeObjective::loss(Encodings& encodings, const Distillation&) const {
  const Vicha& model = encodings.model();
  const Encodings::Image& image = encodings.image();
  const at::Tensor target = mae_target(encodings.batch().image.to(model.device()), model.options().vit.patch);
  at::Tensor unimodal, cross_modal;
  if (options_.kind() != MaeVariant::kCrossModal) {
    unimodal = mae_loss(model.mae->unimodal(image.latent, image.patch_order), target, image.patch_order);
  }
  if (options_.kind() != MaeVariant::kUnimodal) {
    cross_modal = mae_loss(model.mae->cross_modal_head(encodings.cross_modal_hidden()), target, image.patch_order);
  }
  if (!cross_modal.defined()) return unimodal;
  return unimodal.defined() ? (unimodal + cross_modal) / 2 : cross_modal;
}

}  // namespace vicha
