#include "checkpoint/names/fusion_layers.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "base/error.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

struct LayerName {
  std::int64_t layer;
  std::string rest;  ///< behind the number, with its dot
};

std::optional<LayerName> layer_name(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  LayerName found{0, {}};
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), found.layer);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return std::nullopt;
  found.rest = name.substr(static_cast<std::size_t>(end - name.data()));
  return found;
}

void require_shared(const StateDict& weights, const std::string& prefix, const FusionLayerCounts& counts,
                    std::string_view where) {
  for (std::int64_t k = 0; k < counts.fusion_layers * counts.images; ++k) {
    if (k % counts.images == 0) continue;
    const std::int64_t layer = counts.text_layers + k, first = layer - k % counts.images;
    for (const char* part : {"key.weight", "key.bias", "value.weight", "value.bias"}) {
      const auto name = [&](std::int64_t i) { return fmt::format("{}{}.crossattention.self.{}", prefix, i, part); };
      const at::Tensor own = weights.find(name(layer)), shared = weights.find(name(first));
      if (!own.defined() || !shared.defined() || own.equal(shared)) continue;
      throw DataError(where,
                      fmt::format("{} differs from {}, and layers that read different pictures share it",
                                  in_quotes(name(layer)), in_quotes(name(first))),
                      fmt::format("The weights are of a deeper model than model.text.fusion_layers = {} says, or of "
                                  "another kind: check the recipe",
                                  counts.fusion_layers));
    }
  }
}

}  // namespace

void repeat_word_similarity(StateDict& weights, std::int64_t images) {
  for (const std::string suffix : {"", "_m"}) {
    const at::Tensor first = weights.find("word_similarity" + suffix);
    if (!first.defined()) continue;
    for (std::int64_t i = 1; i < images; ++i) {
      const std::string name = fmt::format("word_similarity_{}{}", i, suffix);
      if (!weights.find(name).defined()) weights.set(name, first);
    }
  }
}

void repeat_fusion_layers(StateDict& weights, const FusionLayerCounts& counts, std::string_view where) {
  repeat_word_similarity(weights, counts.images);
  for (const std::string prefix : {"text_encoder.bert.encoder.layer.", "text_encoder_m.bert.encoder.layer."}) {
    std::int64_t layers = 0;
    for (const auto& [name, tensor] : weights) {
      if (const auto found = layer_name(name, prefix)) layers = std::max(layers, found->layer + 1);
    }
    const std::int64_t deep = counts.text_layers + counts.images * counts.fusion_layers;
    if (layers == deep) require_shared(weights, prefix, counts, where);
    if (layers == deep || layers != counts.text_layers + counts.fusion_layers) continue;
    StateDict repeated;
    for (const auto& [name, tensor] : weights) {
      const auto found = layer_name(name, prefix);
      if (!found || found->layer < counts.text_layers) {
        repeated.set(name, tensor);
        continue;
      }
      const std::int64_t first = counts.text_layers + counts.images * (found->layer - counts.text_layers);
      for (std::int64_t i = first; i < first + counts.images; ++i) {
        repeated.set(prefix + std::to_string(i) + found->rest, tensor);
      }
    }
    weights = std::move(repeated);
  }
}

void copy_text_layers(StateDict& weights, const FusionLayerCounts& counts) {
  const std::string prefix = "text_encoder.bert.encoder.layer.";
  StateDict copied;
  for (const auto& [name, tensor] : weights) {
    const auto found = layer_name(name, prefix);
    if (!found) {
      copied.set(name, tensor);
      continue;
    }
    const auto as = [&](std::int64_t layer) { copied.set(prefix + std::to_string(layer) + found->rest, tensor); };
    if (found->layer < counts.text_layers) as(found->layer);
    if (found->layer < counts.fusion_layers) as(counts.text_layers + found->layer);
  }
  weights = std::move(copied);
}

}  // namespace vicha
