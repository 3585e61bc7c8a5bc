#include "tasks/vqa/network/answer_decoder.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <optional>
#include <unordered_map>

#include "base/error.h"

namespace vicha {
namespace {

constexpr std::string_view kDecoder = "text_decoder.", kDecoderCopy = "text_decoder_m.";
constexpr std::string_view kDecoderLayer = "bert.encoder.layer.";

std::vector<BertLayer> decoder_layers(ParameterStore& store, const std::string& prefix, const TextOptions& options) {
  if (options.fusion_layers == 0) {
    throw UsageError(
        "model.text.fusion_layers is 0, and the decoder of answers begins as a copy of the fusion layers: set it to 1 "
        "or more, for the pretraining too");
  }
  std::vector<BertLayer> layers;
  for (std::int64_t i = 0; i < options.fusion_layers; ++i) {
    layers.emplace_back(store, prefix + std::string(kDecoderLayer) + std::to_string(i) + ".",
                        BertLayerShape{options.width, options.heads, options.inner, options.width});
  }
  return layers;
}

/// The encoder's name of what a decoder's tensor starts as: layer i is fusion layer i.
std::string decoder_source_name(std::string_view name, std::int64_t text_layers) {
  const bool copy = name.starts_with(kDecoderCopy);
  std::string rest(name.substr(copy ? kDecoderCopy.size() : kDecoder.size()));
  if (rest.starts_with(kDecoderLayer)) {
    const std::size_t end = rest.find('.', kDecoderLayer.size());
    const std::int64_t layer = std::stoll(rest.substr(kDecoderLayer.size(), end - kDecoderLayer.size()));
    rest = std::string(kDecoderLayer) + std::to_string(text_layers + layer) + rest.substr(end);
  }
  return (copy ? "text_encoder_m." : "text_encoder.") + rest;
}

}  // namespace

AnswerDecoder::AnswerDecoder(ParameterStore& store, const std::string& prefix, const TextOptions& options)
    : options_(options),
      embeddings_(store, prefix + "bert.embeddings.", options),
      layers_(decoder_layers(store, prefix, options)),
      head_(store, prefix, embeddings_) {}

std::vector<at::Tensor> AnswerDecoder::question_kv(const at::Tensor& states_SD) const {
  std::vector<at::Tensor> kv;
  for (const BertLayer& layer : layers_) kv.push_back(layer.image_kv(states_SD));
  return kv;
}

at::Tensor AnswerDecoder::operator()(const at::Tensor& ids, const at::Tensor& positions, const SegmentsPtr& self,
                                     const std::vector<at::Tensor>& kv, const SegmentsPtr& cross,
                                     const Dropout& dropout) const {
  VICHA_ASSERT(kv.size() == layers_.size());
  at::Tensor x = embeddings_(ids, positions, dropout);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const BertLayer& layer = layers_[i];
    x = layer.mlp(layer.attend_image(layer.attend_self(x, self, dropout), kv[i], cross, dropout), dropout);
  }
  return x;
}

Twins<AnswerDecoder> add_answer_decoder(ParameterStore& store, const TextOptions& options) {
  const ParameterStore::Scope heads(store, "heads"), fusion_heads(store, "fusion_heads"),
      scope(store, "answer_decoder");
  return store.add_twins(
      [&](const std::string& suffix) { return AnswerDecoder(store, "text_decoder" + suffix + ".", options); });
}

bool is_answer_decoder(std::string_view name) { return name.starts_with(kDecoder) || name.starts_with(kDecoderCopy); }

void start_answer_decoder(ParameterStore& store, const TextOptions& options) {
  const at::NoGradGuard guard;
  std::unordered_map<std::string, ParameterStore::Released> by_name;
  for (const ParameterStore::Released& r : store.released()) by_name.emplace(r.name, r);
  for (const ParameterStore::Released& r : store.released()) {
    if (!is_answer_decoder(r.name) || r.is_alias) continue;
    at::Tensor target = store.view(r);
    const auto source = by_name.find(decoder_source_name(r.name, options.text_layers));
    // Joint fusion layers have no cross-attention.
    const bool found = source != by_name.end();
    VICHA_ASSERT(found || r.name.find(".crossattention.") != std::string::npos);
    const at::Tensor value = found ? store.view(source->second) : at::Tensor();
    if (found && value.sizes() == target.sizes()) {
      target.copy_(value);
    } else if (r.name.starts_with(kDecoderCopy)) {
      const auto online = by_name.find(std::string(kDecoder) + r.name.substr(kDecoderCopy.size()));
      VICHA_ASSERT(online != by_name.end());
      target.copy_(store.view(online->second));
    }
  }
}

}  // namespace vicha
