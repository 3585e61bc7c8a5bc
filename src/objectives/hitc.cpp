#include "objectives/hitc.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "nn/norm.h"
#include "nn/vit_block.h"
#include "objectives/itc.h"

namespace vicha {

void HitcOptions::describe(Visitor& v) {
  ObjectiveOptions::describe(v);
  v.field({"levels", "layers", "Hidden states below the last that are aligned", 1, 1024}, levels);
  v.field({"level_weights", "", "Factor of each level, the lowest first; empty: all 1"}, level_weights);
}

void HitcOptions::check(const ModelOptions& model) const {
  if (levels > model.text.text_layers || levels >= model.vit.depth) {
    throw UsageError(fmt::format(
        "hitc.levels = {} needs at least as many text layers (model.text.text_layers = {}) and more image blocks "
        "(model.vit.depth = {})",
        levels, model.text.text_layers, model.vit.depth));
  }
}

HitcObjective::HitcObjective(const HitcOptions& options, Vicha& model) : options_(options) {
  if (!options.level_weights.empty() && static_cast<std::int64_t>(options.level_weights.size()) != options.levels) {
    throw UsageError(fmt::format("hitc.level_weights has {} values for hitc.levels = {}; give one per level or none",
                                 options.level_weights.size(), options.levels));
  }
  const ParameterStore::Scope scope(model.parameters(), "hitc_heads");
  const ModelOptions& sizes = model.options();
  for (std::int64_t i = 0; i < options.levels; ++i) {
    const std::string level = std::to_string(i) + ".";
    vision_proj_.push_back(add_linear(model.parameters(), "vision_proj_hidden." + level, sizes.vit.width,
                                      sizes.embed_dim, Init::kLinearDefault));
    text_proj_.push_back(add_linear(model.parameters(), "text_proj_hidden." + level, sizes.text.width, sizes.embed_dim,
                                    Init::kLinearDefault));
  }
}

at::Tensor level_loss(const at::Tensor& f_BE, const at::Tensor& g_BE, const at::Tensor& temperature,
                      const at::Tensor& positives_BB) {
  const at::Tensor i2t = at::mm(f_BE, g_BE.detach().t()) / temperature,
                   t2i = at::mm(g_BE, f_BE.detach().t()) / temperature;
  return (contrast_loss(i2t, positives_BB, {}, 0.0) + contrast_loss(t2i, positives_BB, {}, 0.0)) / 2;
}

std::vector<Encodings::Features> HitcObjective::level_features(Encodings& encodings) const {
  const auto &image = encodings.image().hidden, &text = encodings.text().hidden;
  // Another objective may want more levels: ours are the highest.
  const std::size_t count = vision_proj_.size(), skip = image.size() - count;
  std::vector<Encodings::Features> features;
  for (std::size_t j = 0; j < count; ++j) {
    features.push_back({unit_rows(vision_proj_[j](image[skip + j])), unit_rows(text_proj_[j](text[skip + j]))});
  }
  return features;
}

std::vector<at::Tensor> HitcObjective::level_losses(Encodings& encodings) const {
  const at::Tensor positives = encodings.positives(false);
  std::vector<at::Tensor> losses;
  for (const Encodings::Features& f : level_features(encodings)) {
    losses.push_back(level_loss(f.image, f.text, encodings.model().temperature(), positives));
  }
  return losses;
}

namespace {

class HitcStep : public ObjectiveStep {
 public:
  HitcStep(const HitcObjective& objective, const std::vector<double>& weights, Encodings& encodings)
      : objective_(objective), weights_(weights), encodings_(encodings) {}

  at::Tensor loss() override {
    at::Tensor total;
    const std::vector<at::Tensor> losses = objective_.level_losses(encodings_);
    for (std::size_t j = 0; j < losses.size(); ++j) {
      const at::Tensor term = weights_.empty() ? losses[j] : losses[j] * weights_[j];
      total = total.defined() ? total + term : term;
    }
    return total;
  }

 private:
  const HitcObjective& objective_;
  const std::vector<double>& weights_;
  Encodings& encodings_;
};

}  // namespace

std::unique_ptr<ObjectiveStep> HitcObjective::begin(Encodings& encodings, const Distillation&) const {
  return std::make_unique<HitcStep>(*this, options_.level_weights, encodings);
}

ObjectiveKind hitc_kind() {
  return {.key = "hitc",
          .title = "Hierarchical image–text contrast",
          .name = "hierarchical ITC",
          .curve = "Hierarchical ITC",
          .measure = "nats",
          .checkpoint_names = {"*_proj_hidden.**"},
          .options = HitcOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<HitcObjective>(dynamic_cast<const HitcOptions&>(options), model);
          }};
}

}  // namespace vicha
