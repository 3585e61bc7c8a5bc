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

Bert::Bert(ParameterStore& store, const std::string& prefix, const TextOptions& options, std::int64_t image_width,
           const FusionOptions& fusion)
    : options_(options), fusion_(fusion) {
  {
    const ParameterStore::Scope scope(store, "text");
    const ParameterStore::Layer layer(store, "text", 0);
    embeddings_ = BertEmbeddings(store, prefix + "bert.embeddings.", options);
  }
  BertLayerShape shape{options.width, options.heads, options.inner, 0};
  const auto name = [&](std::int64_t i) { return prefix + "bert.encoder.layer." + std::to_string(i) + "."; };
  for (std::int64_t i = 0; i < options.text_layers; ++i) {
    const ParameterStore::Scope scope(store, "text");
    const ParameterStore::Layer layer(store, "text", i + 1);
    text_layers_.emplace_back(store, name(i), shape);
  }
  if (joint()) {
    const ParameterStore::Scope scope(store, "fusion");
    const ParameterStore::Layer layer(store, "text", options.text_layers + 1);
    const std::string own = prefix + "bert.image_embeddings.";
    image_proj_ = add_linear(store, own + "dense.", image_width, options.width, Init::kLinearDefault);
    image_types_.push_back(store.add(own + "type", {options.width}, Init::kNormal002));
    image_norm_ = add_layer_norm(store, own + "LayerNorm.", options.width, kBertEps);
    // A model with one picture has none of these, and may be the start.
    const ParameterStore::Scope heads(store, "heads");
    for (std::int64_t c = 1; c < fusion.images; ++c) {
      image_types_.push_back(store.add(own + "type_" + std::to_string(c), {options.width}, Init::kNormal002));
    }
  } else {
    shape.cross_width = image_width;
  }
  const std::int64_t images = copies();
  for (std::int64_t k = 0; k < options.fusion_layers * images; ++k) {
    const std::int64_t i = options.text_layers + k, first = i - k % images;
    const ParameterStore::Scope scope(store, "fusion");
    const ParameterStore::Layer layer(store, "text", i + 1);
    const BertLayer* shared = i == first ? nullptr : &fusion_layers_[static_cast<std::size_t>(k - k % images)];
    fusion_layers_.push_back(BertLayer(store, name(i), shape, shared, name(first)));
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
  if (joint()) return {image_proj_(image_SD)};
  std::vector<at::Tensor> kv;
  const auto each = static_cast<std::size_t>(copies());
  for (std::size_t i = 0; i < fusion_layers_.size(); i += each) kv.push_back(fusion_layers_[i].image_kv(image_SD));
  return kv;
}

std::vector<at::Tensor> Bert::image_kv_change(const at::Tensor& vector_D) const {
  if (joint()) return {matmul_nt(vector_D.unsqueeze(0), image_proj_.weight)};
  std::vector<at::Tensor> change;
  const auto each = static_cast<std::size_t>(copies());
  for (std::size_t i = 0; i < fusion_layers_.size(); i += each) {
    change.push_back(fusion_layers_[i].image_kv_change(vector_D));
  }
  return change;
}

at::Tensor Bert::image_tokens(const at::Tensor& rows_SD, const at::Tensor& picture_S) const {
  VICHA_ASSERT(joint());
  std::vector<at::Tensor> types = {image_types_.front()};
  for (std::size_t c = 1; c < image_types_.size(); ++c) types.push_back(image_types_.front() + image_types_[c]);
  const at::Tensor type = types.size() == 1 ? types.front() : at::stack(types).index_select(0, picture_S);
  return image_norm_(rows_SD.to(at::kFloat) + type);
}

at::Tensor Bert::first_self_attention(const at::Tensor& text_TD, const SegmentsPtr& self,
                                      const Dropout& dropout) const {
  return fusion_layers_.front().attend_self(text_TD, self, dropout);
}

at::Tensor Bert::fuse(const at::Tensor& text_TD, const std::vector<at::Tensor>& kv, const Fusion& fusion,
                      const Dropout& dropout) const {
  if (joint()) return fuse_joint(text_TD, fusion, dropout);
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
  const auto copies = static_cast<std::size_t>(this->copies());
  VICHA_ASSERT(!joint() && kv.size() * copies == fusion_layers_.size() && fusion.cross.size() == copies);
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
    const SegmentsPtr& cross = some_rows ? fusion.rows_cross : fusion.cross[i % copies];
    x = layer.mlp(layer.attend_image(x, kv[i / copies], cross, dropout, own), dropout);
  }
  return x;
}

at::Tensor Bert::fuse_joint(const at::Tensor& rows_TD, const Fusion& fusion, const Dropout& dropout) const {
  AttentionWatch* const watch = fusion.watch;
  VICHA_ASSERT(watch == nullptr || !fusion.rows.defined());
  const at::AutoGradMode mode(watch == nullptr && at::GradMode::is_enabled());
  at::Tensor x = rows_TD;
  for (std::size_t i = 0; i < fusion_layers_.size(); ++i) {
    const BertLayer& layer = fusion_layers_[i];
    if (i + 1 == fusion_layers_.size() && fusion.rows.defined()) {
      x = layer.attend_self_at(x, fusion.rows, fusion.rows_self, dropout);
    } else {
      const bool watched = watch != nullptr && watch->layer() == static_cast<std::int64_t>(i);
      if (watched) at::GradMode::set_enabled(true);
      x = layer.attend_self(x, fusion.self, dropout, watched ? watch : nullptr);
    }
    x = layer.mlp(x, dropout);
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
