#include "models/bert.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "nn/host_copy.h"
#include "nn/vit_block.h"

namespace vicha {
namespace {

PackedText pack(const Tokens& tokens, bool keep_padding, const at::Device& device) {
  const std::int64_t batch = tokens.size(), longest = tokens.ids.size(1);
  PackedText text;
  text.lengths = tokens.lengths;
  const at::Tensor ids = tokens.ids.cpu().contiguous();
  const std::int64_t* from = ids.data_ptr<std::int64_t>();
  std::vector<std::int64_t> packed, positions;
  for (std::int64_t i = 0; i < batch; ++i) {
    const std::int64_t rows = keep_padding ? longest : tokens.lengths[static_cast<std::size_t>(i)];
    text.begin.push_back(static_cast<std::int64_t>(packed.size()));
    text.strides.push_back(rows);
    for (std::int64_t j = 0; j < rows; ++j) {
      packed.push_back(from[i * longest + j]);
      positions.push_back(j);
    }
  }
  text.ids = to_device(at::tensor(packed, at::kLong), device);
  text.positions = to_device(at::tensor(positions, at::kLong), device);
  text.segments = keep_padding ? Segments::uniform(batch, longest, text.lengths) : Segments::packed(text.lengths);
  return text;
}

}  // namespace

PackedText PackedText::packed(const Tokens& tokens, const at::Device& device) { return pack(tokens, false, device); }
PackedText PackedText::padded(const Tokens& tokens, const at::Device& device) { return pack(tokens, true, device); }

PackedText PackedText::joined(const std::vector<const PackedText*>& packs) {
  if (packs.size() == 1) return *packs.front();
  PackedText all;
  std::vector<at::Tensor> ids, positions;
  std::vector<SegmentsPtr> segments;
  std::int64_t rows = 0;
  for (const PackedText* pack : packs) {
    ids.push_back(pack->ids);
    positions.push_back(pack->positions);
    segments.push_back(pack->segments);
    all.lengths.insert(all.lengths.end(), pack->lengths.begin(), pack->lengths.end());
    all.strides.insert(all.strides.end(), pack->strides.begin(), pack->strides.end());
    for (const std::int64_t begin : pack->begin) all.begin.push_back(rows + begin);
    rows += pack->rows();
  }
  all.ids = at::cat(ids);
  all.positions = at::cat(positions);
  all.segments = Segments::joined(segments);
  return all;
}

BertEmbeddings::BertEmbeddings(ParameterStore& store, const std::string& prefix, const TextOptions& options)
    : word(store.add(prefix + "word_embeddings.weight", {options.vocabulary, options.width}, Init::kNormal002)),
      position(
          store.add(prefix + "position_embeddings.weight", {options.max_positions, options.width}, Init::kNormal002)),
      type(store.add(prefix + "token_type_embeddings.weight", {2, options.width}, Init::kNormal002)),
      norm(add_layer_norm(store, prefix + "LayerNorm.", options.width, kBertEps)),
      pad_id(options.pad_id) {}

at::Tensor BertEmbeddings::operator()(const at::Tensor& ids, const at::Tensor& positions, const Dropout& dropout,
                                      const at::Tensor& types) const {
  const at::Tensor kind = types.defined() ? at::embedding(type, types) : type.select(0, 0);
  const at::Tensor sum = at::embedding(word, ids, pad_id) + at::embedding(position, positions) + kind;
  return apply_dropout(norm(sum), dropout.draw());
}

Bert::Bert(ParameterStore& store, const std::string& prefix, const TextOptions& options, std::int64_t image_width)
    : options_(options) {
  {
    const ParameterStore::Scope scope(store, "text");
    const ParameterStore::Layer layer(store, "text", 0);
    embeddings_ = BertEmbeddings(store, prefix + "bert.embeddings.", options);
  }
  BertLayerShape shape{options.width, options.heads, options.inner, 0};
  for (std::int64_t i = 0; i < options.text_layers + options.fusion_layers; ++i) {
    const ParameterStore::Scope scope(store, i < options.text_layers ? "text" : "fusion");
    const ParameterStore::Layer layer(store, "text", i + 1);
    shape.cross_width = i < options.text_layers ? 0 : image_width;
    auto& layers = i < options.text_layers ? text_layers_ : fusion_layers_;
    layers.emplace_back(store, prefix + "bert.encoder.layer." + std::to_string(i) + ".", shape);
  }
}

Bert::TextStates Bert::encode(const at::Tensor& ids, const at::Tensor& positions, const SegmentsPtr& segments,
                              const at::Tensor& rows, std::int64_t hidden_from, const Dropout& dropout) const {
  return encode_embedded(embeddings_(ids, positions, dropout), segments, rows, hidden_from, dropout);
}

Bert::TextStates Bert::encode_embedded(const at::Tensor& embedded_TD, const SegmentsPtr& segments,
                                       const at::Tensor& rows, std::int64_t hidden_from, const Dropout& dropout) const {
  TextStates result;
  at::Tensor x = embedded_TD;
  const auto keep = [&](std::int64_t state) {
    if (rows.defined() && state >= hidden_from) result.hidden_rows.push_back(x.index_select(0, rows));
  };
  keep(0);
  for (std::size_t i = 0; i < text_layers_.size(); ++i) {
    x = text_layers_[i](x, segments, dropout);
    keep(static_cast<std::int64_t>(i) + 1);
  }
  result.states = x;
  return result;
}

std::vector<at::Tensor> Bert::image_kv(const at::Tensor& image_SD) const {
  std::vector<at::Tensor> kv;
  for (const BertLayer& layer : fusion_layers_) kv.push_back(layer.image_kv(image_SD));
  return kv;
}

std::vector<at::Tensor> Bert::image_kv_change(const at::Tensor& vector_D) const {
  std::vector<at::Tensor> change;
  for (const BertLayer& layer : fusion_layers_) change.push_back(layer.image_kv_change(vector_D));
  return change;
}

at::Tensor Bert::first_self_attention(const at::Tensor& text_TD, const SegmentsPtr& self,
                                      const Dropout& dropout) const {
  return fusion_layers_.front().attend_self(text_TD, self, dropout);
}

at::Tensor Bert::fuse(const at::Tensor& text_TD, const std::vector<at::Tensor>& kv, const Fusion& fusion,
                      const Dropout& dropout) const {
  if (fusion_layers_.empty()) return fusion.rows.defined() ? text_TD.index_select(0, fusion.rows) : text_TD;
  if (fusion_layers_.size() == 1 && fusion.rows.defined()) {
    const BertLayer& layer = fusion_layers_.front();
    const at::Tensor x = layer.attend_self_at(text_TD, fusion.rows, fusion.rows_self, dropout);
    return layer.mlp(layer.attend_image(x, kv.front(), fusion.rows_cross, dropout), dropout);
  }
  return fuse_after_first(first_self_attention(text_TD, fusion.self, dropout), kv, fusion, dropout);
}

at::Tensor Bert::fuse_after_first(const at::Tensor& attended_TD, const std::vector<at::Tensor>& kv,
                                  const Fusion& fusion, const Dropout& dropout) const {
  VICHA_ASSERT(kv.size() == fusion_layers_.size());
  AttentionWatch* const watch = fusion.watch;
  VICHA_ASSERT(watch == nullptr || !fusion.rows.defined());
  const at::AutoGradMode mode(watch == nullptr && at::GradMode::is_enabled());
  at::Tensor x = attended_TD;
  for (std::size_t i = 0; i < fusion_layers_.size(); ++i) {
    const BertLayer& layer = fusion_layers_[i];
    AttentionWatch* const own = watch != nullptr && watch->layer() == static_cast<std::int64_t>(i) ? watch : nullptr;
    const bool some_rows = i + 1 == fusion_layers_.size() && fusion.rows.defined();
    if (i > 0) {
      x = some_rows ? layer.attend_self_at(x, fusion.rows, fusion.rows_self, dropout)
                    : layer.attend_self(x, fusion.self, dropout);
    } else if (some_rows) {
      x = x.index_select(0, fusion.rows);
    }
    if (own != nullptr) at::GradMode::set_enabled(true);
    x = layer.mlp(layer.attend_image(x, kv[i], some_rows ? fusion.rows_cross : fusion.cross, dropout, own), dropout);
  }
  return x;
}

ConceptEncoder::ConceptEncoder(ParameterStore& store, const std::string& encoder_prefix, const std::string& proj_prefix,
                               const TextOptions& text, const ConceptOptions& options, std::int64_t image_width) {
  std::optional<ParameterStore::Scope> scope(std::in_place, store, "concept_encoder");
  // Without layers the released pretraining, retrieval and VQA checkpoints hold bare embeddings under the prefix.
  embeddings_ = BertEmbeddings(store, encoder_prefix + (options.layers > 0 ? "embeddings." : ""), text);
  for (std::int64_t i = 0; i < options.layers; ++i) {
    layers_.emplace_back(store, encoder_prefix + "encoder.layer." + std::to_string(i) + ".",
                         BertLayerShape{text.width, text.heads, text.inner, 0});
  }
  scope.reset();
  proj_ = add_linear(store, proj_prefix, text.width, image_width, Init::kLinearDefault);
}

ConceptEncoder::Output ConceptEncoder::operator()(const Tokens& concepts, const at::Device& device,
                                                  const Dropout& dropout) const {
  const PackedText text = PackedText::padded(concepts, device);
  at::Tensor x = embeddings_(text.ids, text.positions, dropout);
  for (const BertLayer& layer : layers_) x = layer(x, text.segments, dropout);
  const std::int64_t batch = concepts.size(), length = concepts.ids.size(1);
  return {x.view({batch, length, -1}), proj_(x).view({batch, length, -1})};
}

}  // namespace vicha
