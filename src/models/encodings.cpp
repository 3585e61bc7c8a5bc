#include "models/encodings.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "nn/norm.h"
#include "nn/position.h"

namespace vicha {

/// Which rows of which text attend to which picture in one fusion pass, and what is read of the result.
struct FusionPlan {
  struct Sequence {
    std::int64_t begin, rows, real;  ///< rows of the text states, the real ones first
    std::int64_t image;              ///< picture it looks at
    std::vector<std::int64_t> read;  ///< places within the sequence that are read
  };
  std::vector<Sequence> sequences;
};

namespace {

at::Tensor indices(const std::vector<std::int64_t>& values, const at::Device& device) {
  return at::tensor(values, at::kLong).to(device);
}

/// First row of each of `count` sequences of `stride` rows.
std::vector<std::int64_t> first_rows(std::int64_t count, std::int64_t stride) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) rows[static_cast<std::size_t>(i)] = i * stride;
  return rows;
}

}  // namespace

Encodings::Encodings(Vicha& model, const Batch& batch, Draws& draws, const Wants& wants, const EncodingOptions& options,
                     TextCache* cache)
    : model_(model),
      batch_(batch),
      draws_(draws),
      wants_(wants),
      options_(options),
      cache_(cache),
      batch_size_(batch.size()) {
  pixels_ = unfold_patches(batch.image.to(model.device(), /*non_blocking=*/true), model.options().vit.patch);
  if (wants.itm) wants_.features = true;  // negatives are drawn by similarity
}

Dropout Encodings::dropout() { return options_.dropout ? draws_.dropout(model_.options().text.dropout) : Dropout(); }

PackedText Encodings::pack(const Tokens& tokens) const {
  return options_.packed_text ? PackedText::packed(tokens, model_.device())
                              : PackedText::padded(tokens, model_.device());
}

std::int64_t Encodings::real_image_tokens(std::int64_t index, std::int64_t tokens) const {
  if (!model_.options().concepts.mask_padding || !batch_.concepts.defined()) return tokens;
  return tokens - batch_.concepts.ids.size(1) + batch_.concepts.lengths[static_cast<std::size_t>(index)];
}

SegmentsPtr Encodings::image_segments(std::int64_t tokens) const {
  std::vector<std::int64_t> real;
  for (std::int64_t i = 0; i < batch_size_; ++i) real.push_back(real_image_tokens(i, tokens));
  return Segments::uniform(batch_size_, tokens, real);
}

const Encodings::Image& Encodings::image() {
  if (image_) return *image_;
  Image image;
  const Encoders& online = model_.online;
  const VitOptions& vit = model_.options().vit;
  if (online.concepts && batch_.concepts.defined()) {
    const ConceptEncoder::Output concepts = (*online.concepts)(batch_.concepts, model_.device(), dropout());
    image.concept_hidden = concepts.hidden;
    image.concept_tokens = concepts.tokens;
  }
  const at::Tensor patches = online.vit.embed(pixels_, batch_size_).to(at::kFloat);
  const at::Tensor full = online.vit.assemble(patches, image.concept_tokens);
  image.tokens = full.size(1);
  at::Tensor tokens = full.view({-1, vit.width});
  SegmentsPtr segments = image_segments(image.tokens);
  std::int64_t visible = 0;
  if (wants_.visible_patches) {
    image.patch_order = draws_.patch_order(batch_size_, vit.patches()).to(model_.device());
    visible = static_cast<std::int64_t>(static_cast<double>(vit.patches()) * (1.0 - options_.mask_ratio));
    const at::Tensor kept = image.patch_order.slice(1, 0, visible).unsqueeze(-1).expand({-1, -1, vit.width});
    const at::Tensor seen = online.vit.assemble_visible(patches.gather(1, kept));
    tokens = at::cat({tokens, seen.view({-1, vit.width})});
    segments = Segments::joined({segments, Segments::uniform(batch_size_, visible + 1)});
  }
  const at::Tensor cls_rows = indices(first_rows(batch_size_, image.tokens), model_.device());
  // The states [-(n + 1) : -1] of the blocks' outputs: n before the last one.
  const at::Tensor hidden_rows = wants_.levels > 0 ? cls_rows : at::Tensor();
  Vit::Output out = online.vit.run(tokens, segments, hidden_rows, vit.depth - wants_.levels - 1);
  if (!out.hidden_rows.empty()) out.hidden_rows.pop_back();
  image.hidden = std::move(out.hidden_rows);
  image.states = wants_.visible_patches ? out.states.slice(0, 0, batch_size_ * image.tokens) : out.states;
  if (wants_.visible_patches) {
    image.latent = out.states.slice(0, batch_size_ * image.tokens).reshape({batch_size_, visible + 1, vit.width});
  }
  image.cls = image.states.index_select(0, cls_rows);
  return image_.emplace(std::move(image));
}

void Encodings::encode_text_cached(Text& text) {
  // A frozen encoder gives every caption the same states whenever it comes: only new ones are computed.
  const at::Tensor ids = batch_.text.ids.cpu().contiguous();
  const std::int64_t length = ids.size(1), states = model_.options().text.text_layers + 1;
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
    const PackedText pack = PackedText::packed(fresh, model_.device());
    const Bert::TextStates out = model_.online.text.encode(pack.ids, pack.positions, pack.segments,
                                                           indices(pack.begin, model_.device()), 0, Dropout());
    VICHA_ASSERT(static_cast<std::int64_t>(out.hidden_rows.size()) == states);
    for (std::size_t k = 0; k < fresh_at.size(); ++k) {
      TextCache::Entry entry{out.states.narrow(0, pack.begin[k], pack.lengths[k]).clone(), {}};
      for (const at::Tensor& h : out.hidden_rows) entry.hidden.push_back(h[static_cast<std::int64_t>(k)].clone());
      cache_->insert(ids_of(fresh_at[k]), entry);
      entries[static_cast<std::size_t>(fresh_at[k])] = std::move(entry);
    }
  }
  std::vector<at::Tensor> rows;
  std::vector<std::vector<at::Tensor>> hidden(static_cast<std::size_t>(wants_.levels));
  for (const TextCache::Entry& entry : entries) {
    rows.push_back(entry.states);
    for (std::int64_t j = 0; j < wants_.levels; ++j) {
      hidden[static_cast<std::size_t>(j)].push_back(
          entry.hidden[static_cast<std::size_t>(states - 1 - wants_.levels + j)]);
    }
  }
  text.states = at::cat(rows);
  for (const auto& level : hidden) text.hidden.push_back(at::stack(level));
}

const Encodings::Text& Encodings::text() {
  if (text_) return *text_;
  Text text;
  text.pack = pack(batch_.text);
  const Bert& bert = model_.online.text;
  const std::int64_t states = model_.options().text.text_layers + 1;
  const bool frozen = model_.text_frozen(), cached = frozen && cache_ != nullptr && options_.packed_text;
  const at::Tensor cls_rows = indices(text.pack.begin, model_.device());
  // Without learning there is no gradient to carry, and no dropout to regularise: the teacher's states stay put.
  std::optional<at::NoGradGuard> no_grad;
  if (frozen) no_grad.emplace();
  const Dropout drop = frozen ? Dropout() : dropout();
  if (wants_.mlm) text.masked_pack = pack(Tokens{batch_.get<MaskedWords>().ids, batch_.text.lengths});
  if (cached) encode_text_cached(text);
  if (!cached || wants_.mlm) {
    std::vector<at::Tensor> ids, positions;
    std::vector<SegmentsPtr> segments;
    for (const PackedText* part : {cached ? nullptr : &text.pack, wants_.mlm ? &text.masked_pack : nullptr}) {
      if (part == nullptr) continue;
      ids.push_back(part->ids);
      positions.push_back(part->positions);
      segments.push_back(part->segments);
    }
    const bool two = ids.size() == 2;
    Bert::TextStates out =
        bert.encode(two ? at::cat(ids) : ids[0], two ? at::cat(positions) : positions[0],
                    two ? Segments::joined(segments) : segments[0],
                    !cached && wants_.levels > 0 ? cls_rows : at::Tensor(), states - 1 - wants_.levels, drop);
    const std::int64_t own = cached ? 0 : text.pack.rows();
    if (!cached) {
      text.states = two ? out.states.slice(0, 0, own) : out.states;
      if (!out.hidden_rows.empty()) out.hidden_rows.pop_back();
      text.hidden = std::move(out.hidden_rows);
    }
    if (wants_.mlm) text.masked_states = own > 0 ? out.states.slice(0, own) : out.states;
  }
  text.cls = text.states.index_select(0, cls_rows);
  return text_.emplace(std::move(text));
}

const Encodings::Features& Encodings::features() {
  if (features_) return *features_;
  return features_.emplace(
      Features{unit_rows(model_.online.vision_proj(image().cls)), unit_rows(model_.online.text_proj(text().cls))});
}

const Encodings::MomentumStates& Encodings::momentum() {
  if (momentum_) return *momentum_;
  const at::NoGradGuard guard;
  MomentumStates m;
  const Encoders& copy = model_.momentum;
  if (copy.concepts && batch_.concepts.defined()) {
    m.concept_tokens = (*copy.concepts)(batch_.concepts, model_.device(), dropout()).tokens;
  }
  const at::Tensor patches = copy.vit.embed(pixels_, batch_size_).to(at::kFloat);
  const at::Tensor tokens = copy.vit.assemble(patches, m.concept_tokens);
  m.image_states = copy.vit.run(tokens.view({-1, tokens.size(2)}), image_segments(tokens.size(1)), {}, 0).states;
  m.image_cls = m.image_states.index_select(0, indices(first_rows(batch_size_, tokens.size(1)), model_.device()));

  const Text& online_text = text();
  const at::Tensor cls_rows = indices(online_text.pack.begin, model_.device());
  if (model_.text_frozen()) {
    // The copy of a frozen encoder is that encoder.
    m.text_states = online_text.states;
    m.text_cls = online_text.cls;
    m.masked_states = online_text.masked_states;
  } else {
    const PackedText &pack = online_text.pack, &masked = online_text.masked_pack;
    const bool both = wants_.mlm_teacher;
    const at::Tensor states =
        copy.text
            .encode(both ? at::cat({pack.ids, masked.ids}) : pack.ids,
                    both ? at::cat({pack.positions, masked.positions}) : pack.positions,
                    both ? Segments::joined({pack.segments, masked.segments}) : pack.segments, {}, 0, dropout())
            .states;
    m.text_states = states.slice(0, 0, pack.rows());
    m.text_cls = states.index_select(0, cls_rows);
    if (both) m.masked_states = states.slice(0, pack.rows());
  }
  m.features = {unit_rows(copy.vision_proj(m.image_cls)), unit_rows(copy.text_proj(m.text_cls))};
  return momentum_.emplace(std::move(m));
}

namespace {

/// query (B, E) / temperature against this batch's keys (B, E) and the queue (E, Q).
at::Tensor similarity(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& queue,
                      const at::Tensor& temperature) {
  const at::Tensor scaled = query / temperature;
  return at::cat({at::mm(scaled, keys.t()), at::mm(scaled, queue)}, 1);
}

}  // namespace

const Encodings::Similarities& Encodings::similarities() {
  if (similarities_) return *similarities_;
  const Features &f = features(), &m = momentum().features;
  return similarities_.emplace(Similarities{similarity(f.image, m.text, model_.queue.texts(), model_.temperature),
                                            similarity(f.text, m.image, model_.queue.images(), model_.temperature)});
}

const Encodings::Similarities& Encodings::momentum_similarities() {
  if (momentum_similarities_) return *momentum_similarities_;
  const at::NoGradGuard guard;
  const Features& m = momentum().features;
  return momentum_similarities_.emplace(
      Similarities{similarity(m.image, m.text, model_.queue.texts(), model_.temperature),
                   similarity(m.text, m.image, model_.queue.images(), model_.temperature)});
}

at::Tensor Encodings::positives(bool with_queue) {
  if (options_.positives == Positives::kIndex) return {};
  const at::Tensor own =
      (options_.positives == Positives::kCaption ? batch_.caption_ids : batch_.image_ids).to(model_.device());
  const at::Tensor candidates = with_queue ? at::cat({own, model_.queue.ids()[0]}) : own;
  return own.unsqueeze(1).eq(candidates.unsqueeze(0));
}

const Encodings::Negatives& Encodings::negatives() {
  if (negatives_) return *negatives_;
  const at::NoGradGuard guard;
  Negatives n;
  const Similarities& s = similarities();
  at::Tensor same = positives(false);
  if (!same.defined()) same = at::eye(batch_size_, at::dtype(at::kBool).device(model_.device()));
  const auto weights = [&](const at::Tensor& sim) {
    return sim.slice(1, 0, batch_size_).to(at::kFloat).softmax(1).masked_fill(same, 0.0);
  };
  // A row whose weights have all vanished draws uniformly among the allowed.
  const auto usable = [&](const at::Tensor& w) {
    return at::where(w.sum(1, true).gt(0), w, same.logical_not().to(at::kFloat));
  };
  n.weights_t2i = weights(s.t2i);
  n.weights_i2t = weights(s.i2t);
  n.image = draws_.negatives(usable(n.weights_t2i), NegativeSide::kImage);
  n.text = draws_.negatives(usable(n.weights_i2t), NegativeSide::kText);
  return negatives_.emplace(std::move(n));
}

at::Tensor Encodings::fuse_sequences(const Bert& bert, const at::Tensor& states, const std::vector<at::Tensor>& kv,
                                     std::int64_t tokens, const FusionPlan& plan, at::Tensor* all_rows) {
  std::vector<std::int64_t> gather, lengths, image, read_rows, read_lengths, read_image;
  auto self = std::make_shared<Segments>(), read_self = std::make_shared<Segments>();
  for (const FusionPlan::Sequence& s : plan.sequences) {
    const std::int64_t begin = static_cast<std::int64_t>(gather.size());
    for (std::int64_t j = 0; j < s.rows; ++j) gather.push_back(s.begin + j);
    self->list.push_back({begin, s.rows, begin, s.real});
    lengths.push_back(s.rows);
    image.push_back(s.image);
    if (s.read.empty()) continue;
    read_self->list.push_back(
        {static_cast<std::int64_t>(read_rows.size()), static_cast<std::int64_t>(s.read.size()), begin, s.real});
    for (const std::int64_t j : s.read) read_rows.push_back(begin + j);
    read_lengths.push_back(static_cast<std::int64_t>(s.read.size()));
    read_image.push_back(s.image);
  }
  self->q_rows = self->k_rows = read_self->k_rows = static_cast<std::int64_t>(gather.size());
  read_self->q_rows = static_cast<std::int64_t>(read_rows.size());
  const auto cross = [&](const std::vector<std::int64_t>& rows, const std::vector<std::int64_t>& pictures) {
    auto segments = std::make_shared<Segments>(*Segments::cross(rows, pictures, batch_size_, tokens));
    for (Segment& s : segments->list) s.k_len = real_image_tokens(s.k_begin / tokens, tokens);
    return segments;
  };
  Bert::Fusion fusion{self, cross(lengths, image), {}, {}, {}};
  if (options_.read_rows_only) {
    fusion.rows = indices(read_rows, model_.device());
    fusion.rows_self = read_self;
    fusion.rows_cross = cross(read_lengths, read_image);
  }
  const at::Tensor fused = bert.fuse(states.index_select(0, indices(gather, model_.device())), kv, fusion, dropout());
  if (options_.read_rows_only) return fused;
  if (all_rows != nullptr) *all_rows = fused;
  return fused.index_select(0, indices(read_rows, model_.device()));
}

namespace {

FusionPlan::Sequence sequence(const PackedText& pack, std::int64_t index, std::int64_t offset, std::int64_t image) {
  const auto i = static_cast<std::size_t>(index);
  return {pack.begin[i] + offset, pack.strides[i], pack.lengths[i], image, {}};
}

/// The masked captions, each with its own picture; reads at the masked words.
void add_masked(FusionPlan& plan, const PackedText& pack, std::int64_t offset, const MaskedWords& masked) {
  const std::int64_t longest = masked.ids.size(1);
  std::size_t next = 0;
  for (std::int64_t i = 0; i < pack.size(); ++i) {
    FusionPlan::Sequence s = sequence(pack, i, offset, i);
    for (; next < masked.positions.size() && masked.positions[next] < (i + 1) * longest; ++next) {
      s.read.push_back(masked.positions[next] - i * longest);
    }
    if (!s.read.empty()) plan.sequences.push_back(std::move(s));
  }
}

}  // namespace

const Encodings::Fused& Encodings::fused() {
  if (fused_) return *fused_;
  FusionPlan plan;
  const Text& t = text();
  const Image& picture = image();
  std::int64_t pair_rows = 0;
  if (wants_.itm) {
    const Negatives& n = negatives();
    for (int part = 0; part < 3; ++part) {
      for (std::int64_t i = 0; i < batch_size_; ++i) {
        // A pair without a negative keeps its place with its own picture or text; ITM leaves it out of the loss.
        const std::int64_t image_at = part == 1 ? n.image[static_cast<std::size_t>(i)] : i;
        const std::int64_t text_at = part == 2 ? n.text[static_cast<std::size_t>(i)] : i;
        FusionPlan::Sequence s = sequence(t.pack, text_at < 0 ? i : text_at, 0, image_at < 0 ? i : image_at);
        s.read = {0};
        plan.sequences.push_back(std::move(s));
      }
    }
    pair_rows = 3 * batch_size_;
  }
  at::Tensor states = t.states;
  if (wants_.mlm) {
    add_masked(plan, t.masked_pack, wants_.itm ? t.pack.rows() : 0, batch_.get<MaskedWords>());
    states = wants_.itm ? at::cat({t.states, t.masked_states}) : t.masked_states;
  }
  fused_.emplace();
  if (plan.sequences.empty()) return *fused_;  // no masked word in the whole batch
  const at::Tensor rows = fuse_sequences(model_.online.text, states, model_.online.text.image_kv(picture.states),
                                         picture.tokens, plan, &fused_->all_rows);
  if (wants_.itm) fused_->pair_cls = rows.slice(0, 0, pair_rows);
  if (wants_.mlm) fused_->masked_rows = pair_rows > 0 ? rows.slice(0, pair_rows) : rows;
  return *fused_;
}

const at::Tensor& Encodings::teacher_logits() {
  if (teacher_.defined()) return teacher_;
  const at::NoGradGuard guard;
  const MomentumStates& m = momentum();
  const Bert& copy = model_.momentum.text;
  FusionPlan plan;
  add_masked(plan, text().masked_pack, 0, batch_.get<MaskedWords>());
  if (plan.sequences.empty())
    return teacher_ = at::empty({0, model_.options().text.vocabulary}, m.image_states.options());
  const std::int64_t tokens = m.image_states.size(0) / batch_size_;
  return teacher_ = copy.vocabulary_logits(
             fuse_sequences(copy, m.masked_states, copy.image_kv(m.image_states), tokens, plan, nullptr));
}

at::Tensor Encodings::cross_modal_hidden() {
  const Image& picture = image();
  const Text& t = text();
  const std::int64_t count = picture.patch_order.size(1), visible = picture.latent.size(1) - 1;
  const at::Tensor stream = model_.mae->cross_modal_stream(picture.latent, picture.patch_order);
  // The picture is the stream and asks the unmasked caption, whose padding it does not see.
  auto cross = std::make_shared<Segments>();
  for (std::int64_t i = 0; i < batch_size_; ++i) {
    const auto at = static_cast<std::size_t>(i);
    cross->list.push_back({i * (count + 1), count + 1, t.pack.begin[at], t.pack.lengths[at]});
  }
  cross->q_rows = batch_size_ * (count + 1);
  cross->k_rows = t.pack.rows();
  const Bert::Fusion fusion{Segments::uniform(batch_size_, count + 1), cross, {}, {}, {}};
  const at::Tensor fused = model_.online.text.fuse(stream.view({-1, stream.size(2)}),
                                                   model_.online.text.image_kv(t.states), fusion, dropout());
  const at::Tensor first = (at::arange(batch_size_, picture.patch_order.options()) * (count + 1) + 1).unsqueeze(1);
  return fused.index_select(0, (picture.patch_order.slice(1, visible) + first).reshape({-1}));
}

}  // namespace vicha
