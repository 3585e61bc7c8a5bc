#include "models/retrieval.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "nn/norm.h"
#include "nn/position.h"

namespace vicha {
namespace {

/// Text rows that one fusion pass should have: enough to keep matrix products busy, few enough to stay in cache.
constexpr std::int64_t kRowsPerPass = 2048;

/// Row by row `both` where `matched`; elsewhere `contrast`, moved down as a whole where the best of it would overtake.
at::Tensor matched_first(const at::Tensor& both, const at::Tensor& contrast, const at::Tensor& matched) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const at::Tensor last = both.masked_fill(matched.logical_not(), kInfinity).amin(1, true);
  const at::Tensor next = contrast.masked_fill(matched, -kInfinity).amax(1, true);
  // A row that is matched whole, or not at all, has nothing to move: minus infinity then.
  const at::Tensor down = (next - last + 1.0).clamp_min(0.0);
  return at::where(matched, both, contrast - down);
}

}  // namespace

/// (n, S, D_image)
at::Tensor RetrievalScorer::encode(const RetrievalImages& images) const {
  const Encoders& online = model_.online;
  const VitOptions& vit = model_.options().vit;
  const std::int64_t count = images.image.size(0);
  at::Tensor concept_tokens;
  if (online.concepts && images.concepts.defined())
    concept_tokens = (*online.concepts)(images.concepts, model_.device(), Dropout()).tokens;
  const at::Tensor pixels = unfold_patches(images.image.to(model_.device()), vit.patch);
  const at::Tensor tokens = online.vit.assemble(online.vit.embed(pixels, count).to(at::kFloat), concept_tokens);
  const std::int64_t length = tokens.size(1);
  const auto segments = Segments::uniform(count, length, real_tokens(count, length, images.concepts));
  return online.vit.run(tokens.view({-1, vit.width}), segments, {}, 0).states.view({count, length, -1});
}

/// Of each picture of a batch, without padded concepts.
std::vector<std::int64_t> RetrievalScorer::real_tokens(std::int64_t count, std::int64_t length,
                                                       const Tokens& concepts) const {
  std::vector<std::int64_t> real(static_cast<std::size_t>(count), length);
  if (model_.options().concepts.mask_padding && model_.online.concepts && concepts.defined()) {
    for (std::size_t i = 0; i < real.size(); ++i) real[i] = length - concepts.ids.size(1) + concepts.lengths[i];
  }
  return real;
}

void RetrievalScorer::add_images(const at::Tensor& image, const Tokens& concepts) {
  const at::NoGradGuard guard;
  const at::Tensor states = encode({image, concepts});
  const std::int64_t count = states.size(0), length = states.size(1);
  if (tokens_ != 0 && tokens_ != length) {
    throw UsageError(
        "pictures of one retrieval set must have the same number of tokens: pad their concepts to one length");
  }
  tokens_ = length;
  image_feats_.push_back(unit_rows(model_.online.vision_proj(states.select(1, 0))));
  const std::vector<std::int64_t> real = real_tokens(count, length, concepts);
  image_tokens_.insert(image_tokens_.end(), real.begin(), real.end());
  block_of_.insert(block_of_.end(), static_cast<std::size_t>(count), static_cast<std::int64_t>(blocks_.size()));
  bytes_ += static_cast<std::int64_t>(states.nbytes());
  const bool keep = !memory_.again || bytes_ <= memory_.bytes;
  blocks_.push_back({image_count_, count, keep ? states : at::Tensor()});
  image_count_ += count;
}

/// (S, D_image)
at::Tensor RetrievalScorer::states_of(std::int64_t image) const {
  const Block& block = blocks_[static_cast<std::size_t>(block_of_[static_cast<std::size_t>(image)])];
  if (block.states.defined()) return block.states[image - block.first];
  if (made_again_.first != block.first) {
    made_again_ = {};  // its room first
    made_again_ = {block.first, block.count, encode(memory_.again(block.first, block.count))};
  }
  return made_again_.states[image - block.first];
}

void RetrievalScorer::add_texts(const Tokens& texts) {
  const at::NoGradGuard guard;
  const PackedText pack = PackedText::packed(texts, model_.device());
  const Bert& bert = model_.online.text;
  const at::Tensor states = bert.encode(pack.ids, pack.positions, pack.segments, {}, 0, Dropout()).states;
  const at::Tensor cls = states.index_select(0, at::tensor(pack.begin, at::kLong).to(model_.device()));
  text_feats_.push_back(unit_rows(model_.online.text_proj(cls)));
  attended_all_ = at::Tensor();
  std::int64_t base = 0;
  for (const at::Tensor& part : attended_) base += part.size(0);
  const bool fusion = model_.options().text.fusion_layers > 0;
  attended_.push_back(fusion ? bert.first_self_attention(states, pack.segments, Dropout()) : states);
  for (const std::int64_t begin : pack.begin) text_begin_.push_back(base + begin);
  text_lengths_.insert(text_lengths_.end(), pack.lengths.begin(), pack.lengths.end());
}

at::Tensor RetrievalScorer::similarities() const {
  const at::NoGradGuard guard;
  return at::mm(at::cat(image_feats_), at::cat(text_feats_).t());
}

at::Tensor RetrievalScorer::match(const std::vector<std::pair<std::int64_t, std::int64_t>>& pairs) const {
  const at::NoGradGuard guard;
  if (!attended_all_.defined()) attended_all_ = at::cat(attended_);
  const Bert& bert = model_.online.text;
  std::vector<at::Tensor> logits;
  std::size_t at = 0;
  while (at < pairs.size()) {
    // Pairs that follow each other with the same picture share its keys and values.
    std::vector<std::int64_t> gather, first, lengths, blocks, ones;
    std::vector<at::Tensor> states;
    std::vector<std::int64_t> block_image;
    auto self = std::make_shared<Segments>();
    for (; at < pairs.size() && static_cast<std::int64_t>(gather.size()) < kRowsPerPass; ++at) {
      const auto [image, text] = pairs[at];
      if (block_image.empty() || block_image.back() != image) {
        block_image.push_back(image);
        states.push_back(states_of(image));
      }
      const std::int64_t begin = static_cast<std::int64_t>(gather.size()),
                         n = text_lengths_[static_cast<std::size_t>(text)];
      for (std::int64_t j = 0; j < n; ++j) gather.push_back(text_begin_[static_cast<std::size_t>(text)] + j);
      self->list.push_back({begin, n, begin, n});
      first.push_back(begin);
      lengths.push_back(n);
      ones.push_back(1);
      blocks.push_back(static_cast<std::int64_t>(block_image.size()) - 1);
    }
    self->q_rows = self->k_rows = static_cast<std::int64_t>(gather.size());
    auto read = std::make_shared<Segments>();
    for (std::size_t i = 0; i < first.size(); ++i) {
      read->list.push_back({static_cast<std::int64_t>(i), 1, self->list[i].k_begin, self->list[i].k_len});
    }
    read->q_rows = static_cast<std::int64_t>(first.size());
    read->k_rows = self->k_rows;
    const std::int64_t count = static_cast<std::int64_t>(block_image.size());
    const auto cross = [&](const std::vector<std::int64_t>& rows) {
      auto segments = std::make_shared<Segments>(*Segments::cross(rows, blocks, count, tokens_));
      for (Segment& s : segments->list) {
        s.k_len = image_tokens_[static_cast<std::size_t>(block_image[static_cast<std::size_t>(s.k_begin / tokens_)])];
      }
      return segments;
    };
    const at::Device device = model_.device();
    const Bert::Fusion fusion{self, cross(lengths), at::tensor(first, at::kLong).to(device), read, cross(ones)};
    const at::Tensor x = attended_all_.index_select(0, at::tensor(gather, at::kLong).to(device));
    const at::Tensor cls = model_.options().text.fusion_layers > 0
                               ? bert.fuse_after_first(x, bert.image_kv(at::cat(states)), fusion, Dropout())
                               : x.index_select(0, fusion.rows);
    logits.push_back(model_.itm_head(cls).to(at::kFloat));
  }
  return logits.empty() ? at::empty({0, 2}) : at::cat(logits);
}

RetrievalScorer::Scores RetrievalScorer::rerank(std::int64_t k_test) const {
  const at::NoGradGuard guard;
  const at::Tensor sims = similarities().cpu();
  const std::int64_t k_texts = std::min(k_test, texts()), k_images = std::min(k_test, images());
  const auto best = [](const at::Tensor& x, std::int64_t k) {
    const at::Tensor index = std::get<1>(x.topk(k, 1));
    return at::zeros(x.sizes(), at::kBool).scatter_(1, index, true);
  };
  const at::Tensor by_image = best(sims, k_texts), by_text = best(sims.t().contiguous(), k_images);
  const at::Tensor wanted = by_image.logical_or(by_text.t()).contiguous();
  std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
  const bool* w = wanted.data_ptr<bool>();
  for (std::int64_t i = 0; i < images(); ++i) {
    for (std::int64_t t = 0; t < texts(); ++t) {
      if (w[i * texts() + t]) pairs.emplace_back(i, t);
    }
  }
  const at::Tensor logits = match(pairs).cpu();
  at::Tensor scores = at::full(sims.sizes(), -100.0, at::kFloat);
  scores.masked_scatter_(wanted, logits.select(1, 1));
  const at::Tensor none = at::full({}, -100.0, at::kFloat);
  const at::Tensor contrast = sims / model_.temperature.cpu();
  at::Tensor both = contrast.clone();
  both.masked_scatter_(wanted, contrast.masked_select(wanted) + logits.select(1, 1) - logits.select(1, 0));
  return {at::where(by_image, scores, none), at::where(by_text, scores.t(), none),
          matched_first(both, contrast, by_image), matched_first(both.t(), contrast.t(), by_text),
          images() * k_texts + texts() * k_images};
}

namespace {

/// For each row the place of its best-placed right column.
Recalls recalls(const at::Tensor& scores, const std::vector<std::vector<std::int64_t>>& right) {
  Recalls r;
  const at::Tensor x = scores.to(at::kFloat).contiguous();
  const std::int64_t columns = x.size(1);
  for (std::size_t i = 0; i < right.size(); ++i) {
    const float* row = x.data_ptr<float>() + static_cast<std::int64_t>(i) * columns;
    std::int64_t rank = columns;
    for (const std::int64_t j : right[i]) {
      std::int64_t before = 0;
      for (std::int64_t c = 0; c < columns; ++c) before += row[c] > row[j] || (row[c] == row[j] && c < j);
      rank = std::min(rank, before);
    }
    r.r1 += rank < 1;
    r.r5 += rank < 5;
    r.r10 += rank < 10;
  }
  const double scale = 100.0 / static_cast<double>(std::max<std::size_t>(1, right.size()));
  return {r.r1 * scale, r.r5 * scale, r.r10 * scale};
}

}  // namespace

RetrievalMetrics retrieval_metrics(const at::Tensor& i2t, const at::Tensor& t2i,
                                   const std::vector<std::vector<std::int64_t>>& texts_of,
                                   const std::vector<std::vector<std::int64_t>>& images_of) {
  return {recalls(i2t, texts_of), recalls(t2i, images_of)};
}

RetrievalMetrics retrieval_metrics(const at::Tensor& i2t, const at::Tensor& t2i,
                                   const std::vector<std::vector<std::int64_t>>& texts_of,
                                   const std::vector<std::int64_t>& image_of) {
  std::vector<std::vector<std::int64_t>> images;
  for (const std::int64_t image : image_of) images.push_back({image});
  return retrieval_metrics(i2t, t2i, texts_of, images);
}

}  // namespace vicha
