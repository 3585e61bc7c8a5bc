#include "objectives/hitc.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "nn/norm.h"
#include "objectives/itc.h"

namespace vicha {
HitcObjective::HitcObjective(const HitcOptions& options) : options_(options) {
  if (!options.level_weights.empty() && static_cast<std::int64_t>(options.level_weights.size()) != options.levels) {
    throw UsageError(fmt::format("hitc.level_weights has {} values for hitc.levels = {}; give one per level or none",
                                 options.level_weights.size(), options.levels));
  }
}

at::Tensor level_loss(const at::Tensor& f_BE, const at::Tensor& g_BE, const at::Tensor& temperature,
                      const at::Tensor& positives_BB) {
  const at::Tensor i2t = at::mm(f_BE, g_BE.detach().t()) / temperature,
                   t2i = at::mm(g_BE, f_BE.detach().t()) / temperature;
  return (contrast_loss(i2t, positives_BB, {}, 0.0) + contrast_loss(t2i, positives_BB, {}, 0.0)) / 2;
}

std::vector<at::Tensor> HitcObjective::level_losses(Encodings& encodings) const {
  const Vicha& model = encodings.model();
  const auto &image = encodings.image().hidden, &text = encodings.text().hidden;
  const at::Tensor positives = encodings.positives(false);
  std::vector<at::Tensor> losses;
  for (std::size_t j = 0; j < image.size(); ++j) {
    losses.push_back(level_loss(unit_rows(model.vision_proj_hidden[j](image[j])),
                                unit_rows(model.text_proj_hidden[j](text[j])), model.temperature, positives));
  }
  return losses;
}

at::Tensor HitcObjective::loss(Encodings& encodings, const Distillation&) const {
  at::Tensor total;
  const std::vector<at::Tensor> losses = level_losses(encodings);
  for (std::size_t j = 0; j < losses.size(); ++j) {
    const at::Tensor term = options_.level_weights.empty() ? losses[j] : losses[j] * options_.level_weights[j];
    total = total.defined() ? total + term : term;
  }
  return total;
}

}  // namespace vicha
