#include "tasks/host/fusion_start.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/names/fusion_layers.h"

namespace vicha {

std::int64_t fill_joint_layers(StateDict& weights, const TextOptions& text, std::int64_t layers,
                               const std::string& file) {
  copy_text_layers(weights, {text.text_layers, text.fusion_layers, 1});
  const std::int64_t filled = std::min(layers, text.fusion_layers);
  log::info(
      "the joint decoder: {} of its {} layers start as the first of {}, and what makes regions tokens starts anew",
      filled, text.fusion_layers, file);
  if (const std::int64_t read = std::max(text.text_layers, filled); layers > read) {
    log::info("{} has {} layers, of which the first {} are read", file, layers, read);
  }
  return text.text_layers + filled;
}

void require_fusion_kind(const ModelOptions& options, const StateDict& weights, const std::string& file) {
  const bool joint = weights.contains("text_encoder.bert.image_embeddings.dense.weight");
  const bool cross = std::ranges::any_of(weights, [](const StateDict::Entry& entry) {
    return entry.first.starts_with("text_encoder.bert.") && entry.first.find(".crossattention.") != std::string::npos;
  });
  if (options.fusion.joint() ? !cross : !joint) return;
  const std::string what = fmt::format("is of a model with model.fusion.kind = \"{}\", and this one has \"{}\"",
                                       joint ? "joint" : "cross", name_of(kFusionKindNames, options.fusion.kind));
  if (joint) {
    throw DataError(file, what + ": its fusion layers have no cross-attention",
                    "Set model.fusion.kind = \"joint\", and layers and regions as that model has them");
  }
  throw DataError(file, what + ": its fusion layers read a picture by cross-attention, which a joint decoder has not",
                  "Set model.fusion.kind = \"cross\"; or start the joint model from BERT and a ViT (init.text and "
                  "init.vit), or from a joint model");
}

}  // namespace vicha
