#include "objectives/encodings.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <span>

#include "base/error.h"
#include "models/regions.h"
#include "nn/norm.h"
#include "objectives/masked_pass.h"

namespace vicha {

TextPass::Part TextPass::add(PackedText pack, bool momentum) {
  parts_.push_back({std::move(pack), momentum, {}, {}});
  return parts_.size() - 1;
}

std::int64_t FusionPass::source(const at::Tensor& states_TD) {
  std::int64_t first = 0;
  for (const at::Tensor& source : sources_) {
    if (source.is_same(states_TD)) return first;
    first += source.size(0);
  }
  sources_.push_back(states_TD);
  return first;
}

std::int64_t FusionPass::images(const ImageStates& images) {
  const std::int64_t first = image_count_;
  images_.push_back(images);
  image_count_ += images.count();
  return first;
}

FusionPass::Part FusionPass::add(std::vector<FusionPlan::Sequence> sequences) {
  first_read_.push_back(plan_.rows_read());
  for (FusionPlan::Sequence& s : sequences) plan_.sequences.push_back(std::move(s));
  return first_read_.size() - 1;
}

Encodings::Encodings(Vicha& model, const Batch& batch, Draws& draws, const Wants& wants, const EncodingOptions& options,
                     TextCache* cache)
    : model_(model),
      batch_(batch),
      draws_(draws),
      wants_(wants),
      options_(options),
      cache_(cache),
      batch_size_(batch.size()) {
  patches_ = patch_rows(batch.image.to(model.device(), /*non_blocking=*/true), model.options().vit);
}

Encodings::~Encodings() = default;

MaskedPass& Encodings::masked() {
  if (!masked_) masked_ = std::make_unique<MaskedPass>(*this);
  return *masked_;
}

Dropout Encodings::dropout() const {
  return options_.dropout ? draws_.dropout(model_.options().text.dropout) : Dropout();
}

PackedText Encodings::pack(const Tokens& tokens) const {
  return options_.packed_text ? PackedText::packed(tokens, model_.device())
                              : PackedText::padded(tokens, model_.device());
}

at::Tensor Encodings::nothing() const { return model_.temperature() * 0.0; }

ImageInput Encodings::image_input(bool regions) const {
  ImageInput input{patches_, batch_size_, batch_.concepts, regions};
  if (const auto* targets = batch_.find<RegionTargets>()) {
    if (targets->crops.defined()) input.crops = targets->crops.to(model_.device(), /*non_blocking=*/true);
    input.crop_concepts = targets->crop_concepts;
  }
  return input;
}

const ImageStates& Encodings::image() {
  if (image_) return *image_;
  const auto join = [&](const at::Tensor& patches_BND, JoinedRows& pass) {
    for (PassGuest* guest : guests_) guest->join_image(patches_BND, pass);
  };
  return image_.emplace(
      model_.online().encode_image(image_input(wants_.regions), dropout(), wants_.levels, &image_pass_, join));
}

const at::Tensor& Encodings::image_rows(JoinedRows::Part part) {
  image();
  return image_pass_.states(part);
}

void Encodings::encode_cached(TextStates& text) {
  // A frozen encoder gives every caption the same states whenever it comes: only new ones are computed.
  const at::Tensor ids = batch_.text.ids.cpu().contiguous();
  const std::int64_t length = ids.size(1), levels = wants_.levels, all = model_.options().text.text_layers;
  const auto ids_of = [&](std::int64_t i) {
    return std::span(ids.data_ptr<std::int64_t>() + i * length,
                     static_cast<std::size_t>(batch_.text.lengths[static_cast<std::size_t>(i)]));
  };
  std::vector<TextCache::Entry> entries(static_cast<std::size_t>(batch_size_));
  Tokens fresh;
  std::vector<std::int64_t> fresh_at;
  for (std::int64_t i = 0; i < batch_size_; ++i) {
    if (const TextCache::Entry* entry = cache_->find(ids_of(i))) {
      entries[static_cast<std::size_t>(i)] = *entry;
    } else {
      fresh_at.push_back(i);
      fresh.lengths.push_back(batch_.text.lengths[static_cast<std::size_t>(i)]);
    }
  }
  if (!fresh_at.empty()) {
    fresh.ids = ids.index_select(0, at::tensor(fresh_at, at::kLong));
    const TextStates out =
        model_.online().encode_text(PackedText::packed(fresh, model_.device()), Dropout(), /*levels=*/all);
    for (std::size_t k = 0; k < fresh_at.size(); ++k) {
      TextCache::Entry entry{out.states.narrow(0, out.pack.begin[k], out.pack.lengths[k]).clone(), {}};
      for (const at::Tensor& h : out.hidden) entry.hidden.push_back(h[static_cast<std::int64_t>(k)].clone());
      cache_->insert(ids_of(fresh_at[k]), entry);
      entries[static_cast<std::size_t>(fresh_at[k])] = std::move(entry);
    }
  }
  std::vector<at::Tensor> rows;
  std::vector<std::vector<at::Tensor>> hidden(static_cast<std::size_t>(levels));
  for (const TextCache::Entry& entry : entries) {
    rows.push_back(entry.states);
    for (std::int64_t j = 0; j < levels; ++j) {
      hidden[static_cast<std::size_t>(j)].push_back(entry.hidden[static_cast<std::size_t>(all - levels + j)]);
    }
  }
  text.states = at::cat(rows);
  for (const auto& level : hidden) text.hidden.push_back(at::stack(level));
}

void Encodings::run_text() {
  TextStates text;
  text.pack = pack(batch_.text);
  const bool frozen = model_.text_frozen(), cached = frozen && cache_ != nullptr && options_.packed_text;
  // Without learning there is no gradient to carry, and no dropout to regularise: the teacher's states stay put.
  std::optional<at::NoGradGuard> no_grad;
  if (frozen) no_grad.emplace();
  const Dropout drop = frozen ? Dropout() : dropout();
  for (PassGuest* guest : guests_) guest->join_text(text_pass_);
  if (cached) encode_cached(text);
  const at::Tensor cls_rows = row_indices(text.pack.begin, model_.device());
  if (!cached || !text_pass_.empty()) {
    std::vector<const PackedText*> packs;
    if (!cached) packs.push_back(&text.pack);
    for (const TextPass::Extra& extra : text_pass_.parts_) packs.push_back(&extra.pack);
    const std::int64_t levels = cached ? 0 : wants_.levels;
    const PackedText joined = PackedText::joined(packs);
    Bert::TextStates out =
        model_.online().text.encode(joined.ids, joined.positions, joined.segments, levels > 0 ? cls_rows : at::Tensor(),
                                    model_.options().text.text_layers - levels, drop);
    std::int64_t begin = 0;
    if (!cached) {
      text.states = out.states.slice(0, 0, text.pack.rows());
      begin = text.pack.rows();
      if (!out.hidden_rows.empty()) out.hidden_rows.pop_back();
      text.hidden = std::move(out.hidden_rows);
    }
    for (TextPass::Extra& extra : text_pass_.parts_) {
      extra.states = out.states.slice(0, begin, begin + extra.pack.rows());
      begin += extra.pack.rows();
    }
  }
  text.cls = text.states.index_select(0, cls_rows);
  text_.emplace(std::move(text));
}

const TextStates& Encodings::text() {
  if (!text_) run_text();
  return *text_;
}

const at::Tensor& Encodings::text_rows(TextPass::Part part) {
  text();
  return text_pass_.parts_.at(part).states;
}

const Encodings::Features& Encodings::features() {
  if (features_) return *features_;
  const at::Tensor image_feat = model_.online().image_features(image());
  return features_.emplace(Features{image_feat, model_.online().text_features(text())});
}

const Encodings::MomentumStates& Encodings::momentum() {
  if (momentum_) return *momentum_;
  const at::NoGradGuard guard;
  MomentumStates m;
  const Encoders& copy = model_.momentum();
  ImageInput input = image_input(/*regions=*/false);
  // The copy of a frozen encoder is that encoder.
  if (model_.text_frozen() && image_) input.concept_text = image_->concept_text;
  m.image = copy.encode_image(input, dropout());
  const TextStates& online_text = text();
  if (model_.text_frozen()) {
    m.text_states = online_text.states;
    m.text_cls = online_text.cls;
    for (TextPass::Extra& extra : text_pass_.parts_) extra.momentum_states = extra.states;
  } else {
    std::vector<const PackedText*> packs = {&online_text.pack};
    for (const TextPass::Extra& extra : text_pass_.parts_) {
      if (extra.momentum) packs.push_back(&extra.pack);
    }
    const PackedText joined = PackedText::joined(packs);
    const at::Tensor states = copy.text.encode(joined.ids, joined.positions, joined.segments, {}, 0, dropout()).states;
    m.text_states = states.slice(0, 0, online_text.pack.rows());
    m.text_cls = states.index_select(0, row_indices(online_text.pack.begin, model_.device()));
    std::int64_t begin = online_text.pack.rows();
    for (TextPass::Extra& extra : text_pass_.parts_) {
      if (!extra.momentum) continue;
      extra.momentum_states = states.slice(0, begin, begin + extra.pack.rows());
      begin += extra.pack.rows();
    }
  }
  m.features = {copy.image_features(m.image),
                unit_rows(copy.text_embedding(m.text_states, m.text_cls, online_text.pack))};
  return momentum_.emplace(std::move(m));
}

const at::Tensor& Encodings::momentum_text_rows(TextPass::Part part) {
  momentum();
  return text_pass_.parts_.at(part).momentum_states;
}

namespace {

/// query (B, E) / temperature against this batch's keys (B, E) and the queue (E, Q).
at::Tensor similarity(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& queue,
                      const at::Tensor& temperature) {
  const at::Tensor scaled = query / temperature;
  return at::cat({at::mm(scaled, keys.t()), at::mm(scaled, queue)}, 1);
}

Encodings::Similarities similarities_of(const Encodings::Features& f, const Encodings::Features& keys, Vicha& model) {
  return {similarity(f.image, keys.text, model.queue().texts(), model.temperature()),
          similarity(f.text, keys.image, model.queue().images(), model.temperature())};
}

}  // namespace

const Encodings::Similarities& Encodings::similarities() {
  if (similarities_) return *similarities_;
  const Features& online = features();
  return similarities_.emplace(similarities_of(online, momentum().features, model_));
}

const Encodings::Similarities& Encodings::momentum_similarities() {
  if (momentum_similarities_) return *momentum_similarities_;
  const at::NoGradGuard guard;
  const Features& m = momentum().features;
  return momentum_similarities_.emplace(similarities_of(m, m, model_));
}

at::Tensor Encodings::positives(bool with_queue) const {
  if (options_.positives == Positives::kIndex) return {};
  const at::Tensor own =
      (options_.positives == Positives::kCaption ? batch_.caption_ids : batch_.image_ids).to(model_.device());
  const at::Tensor candidates = with_queue ? at::cat({own, model_.queue().ids()[0]}) : own;
  return own.unsqueeze(1).eq(candidates.unsqueeze(0));
}

void Encodings::run_fusion() {
  text();
  FusionPass& pass = fusion_pass_;
  pass.images(image());
  for (PassGuest* guest : guests_) guest->join_fusion(pass);
  pass.first_read_.push_back(pass.plan_.rows_read());
  fused_.emplace();
  if (pass.plan_.sequences.empty()) return;
  const at::Tensor states = pass.sources_.size() == 1 ? pass.sources_.front() : at::cat(pass.sources_);
  const Bert& bert = model_.online().text;
  FusedImages images;
  std::vector<at::Tensor> image_rows;
  for (const ImageStates& some : pass.images_) {
    images.add(some);
    image_rows.push_back(some.fusion_rows());
  }
  const at::Tensor rows = image_rows.size() == 1 ? image_rows.front() : at::cat(image_rows);
  fused_ = fuse(bert, states, bert.image_kv(rows), pass.plan_, images, dropout(),
                options_.read_rows_only ? nullptr : &all_fused_rows_);
}

at::Tensor Encodings::fused(FusionPass::Part part) {
  if (!fused_) run_fusion();
  const std::vector<std::int64_t>& first = fusion_pass_.first_read_;
  if (!fused_->defined()) {
    return at::empty({0, model_.options().text.width}, at::dtype(at::kFloat).device(model_.device()));
  }
  return fused_->slice(0, first.at(part), first.at(part + 1));
}

at::Tensor Encodings::momentum_fused(const at::Tensor& text_states_TD, const FusionPlan& plan) {
  const at::NoGradGuard guard;
  const ImageStates& images = momentum().image;
  const Bert& copy = model_.momentum().text;
  at::Tensor all;
  return fuse(copy, text_states_TD, copy.image_kv(images.fusion_rows()), plan, FusedImages(images), dropout(),
              options_.read_rows_only ? nullptr : &all);
}

const at::Tensor& Encodings::all_fused_rows() {
  if (!fused_) run_fusion();
  return all_fused_rows_;
}

}  // namespace vicha
