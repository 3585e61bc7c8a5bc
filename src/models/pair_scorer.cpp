#include "models/pair_scorer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "models/fusion.h"

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

PairScorer::PairScorer(const Vicha& model, const Linear& match_head, ImageMemory memory, const Group& group)
    : model_(model), match_head_(match_head), memory_(std::move(memory)), group_(group) {
  require_one_image(model.options(), "pairs of a picture and a text");
}

ImageStates PairScorer::encode(const ScoredImages& images) const {
  const at::Tensor patches = patch_rows(images.image.to(model_.device()), model_.options().vit);
  return model_.online().encode_image({patches, images.image.size(0), images.concepts}, Dropout());
}

void PairScorer::add_images(const at::Tensor& image, const Tokens& concepts) {
  const at::NoGradGuard guard;
  const ImageStates encoded = encode({image, concepts});
  const std::int64_t count = encoded.count();
  if (tokens_ != 0 && tokens_ != encoded.fusion_tokens()) {
    throw UsageError(
        "pictures of one retrieval set must have the same number of tokens: pad their concepts to one length");
  }
  tokens_ = encoded.fusion_tokens();
  image_feats_.push_back(model_.online().image_features(encoded));
  const std::vector<std::int64_t> real = encoded.fusion_real();
  image_tokens_.insert(image_tokens_.end(), real.begin(), real.end());
  block_of_.insert(block_of_.end(), static_cast<std::size_t>(count), static_cast<std::int64_t>(blocks_.size()));
  const at::Tensor states = encoded.fusion_rows().view({count, tokens_, -1});
  bytes_ += static_cast<std::int64_t>(states.nbytes());
  const bool keep = !memory_.again || bytes_ <= memory_.bytes;
  blocks_.push_back({image_count_, count, keep ? states : at::Tensor()});
  image_count_ += count;
}

/// (S, D_image)
at::Tensor PairScorer::states_of(std::int64_t image) const {
  const Block& block = blocks_[static_cast<std::size_t>(block_of_[static_cast<std::size_t>(image)])];
  if (block.states.defined()) return block.states[image - block.first];
  if (made_again_.first != block.first) {
    made_again_ = {};  // its room first
    const ImageStates encoded = encode(memory_.again(block.first, block.count));
    made_again_ = {block.first, block.count, encoded.fusion_rows().view({block.count, tokens_, -1})};
  }
  return made_again_.states[image - block.first];
}

void PairScorer::add_texts(const Tokens& texts) {
  const at::NoGradGuard guard;
  const TextStates encoded = model_.online().encode_text(PackedText::packed(texts, model_.device()), Dropout());
  const PackedText& pack = encoded.pack;
  text_feats_.push_back(model_.online().text_features(encoded));
  attended_all_ = at::Tensor();
  std::int64_t base = 0;
  for (const at::Tensor& part : attended_) base += part.size(0);
  // What the first fusion layer's self-attention sees is the text alone.
  const FusionOptions& fusion = model_.options().fusion;
  const bool ahead = model_.options().text.fusion_layers > 0 && !fusion.similarity && !fusion.joint();
  attended_.push_back(ahead ? model_.online().text.first_self_attention(encoded.states, pack.segments, Dropout())
                            : encoded.states);
  for (const std::int64_t begin : pack.begin) text_begin_.push_back(base + begin);
  text_lengths_.insert(text_lengths_.end(), pack.lengths.begin(), pack.lengths.end());
}

at::Tensor PairScorer::similarities() const {
  const at::NoGradGuard guard;
  return at::mm(at::cat(image_feats_), at::cat(text_feats_).t());
}

at::Tensor PairScorer::match(const std::vector<std::pair<std::int64_t, std::int64_t>>& pairs) const {
  const at::NoGradGuard guard;
  if (!attended_all_.defined()) attended_all_ = at::cat(attended_);
  const Bert& bert = model_.online().text;
  std::vector<at::Tensor> logits;
  std::size_t next = 0;
  while (next < pairs.size()) {
    // Pairs that follow each other with the same image share its keys and values.
    FusionPlan plan;
    FusedImages images;
    std::vector<at::Tensor> states;
    std::int64_t rows = 0, last = -1;
    for (; next < pairs.size() && rows < kRowsPerPass; ++next) {
      const auto [image, text] = pairs[next];
      if (states.empty() || image != last) {
        states.push_back(states_of(image));
        images.add(tokens_, image_tokens_[static_cast<std::size_t>(image)]);
        last = image;
      }
      const std::int64_t length = text_lengths_[static_cast<std::size_t>(text)];
      plan.sequences.push_back({text_begin_[static_cast<std::size_t>(text)],
                                length,
                                length,
                                {static_cast<std::int64_t>(states.size()) - 1},
                                {0}});
      rows += length;
    }
    const at::Tensor image_states = at::cat(states);
    const std::vector<at::Tensor> kv = bert.image_kv(image_states);
    if (const auto& similarity = model_.online().similarity) {
      images.similarity = similarity;
      images.patches = similarity->patches(image_states, tokens_);
    }
    if (images.similarity != nullptr || bert.joint()) {
      logits.push_back(match_head_(fuse(bert, attended_all_, kv, plan, images, Dropout())).to(at::kFloat));
      continue;
    }
    const FusionLayout layout = lay_out(plan, images, model_.device());
    const at::Tensor x = attended_all_.index_select(0, layout.gather);
    const at::Tensor cls = model_.options().text.fusion_layers > 0
                               ? bert.fuse_after_first(x, kv, layout.some, Dropout())
                               : x.index_select(0, layout.read);
    logits.push_back(match_head_(cls).to(at::kFloat));
  }
  return logits.empty() ? at::empty({0, 2}) : at::cat(logits);
}

/// As match, each rank a run of the pairs; all ranks get all logits.
at::Tensor PairScorer::match_shared(const std::vector<std::pair<std::int64_t, std::int64_t>>& pairs) const {
  if (group_.is_alone()) return match(pairs);
  const auto count = static_cast<std::int64_t>(pairs.size());
  const std::int64_t share = (count + group_.size() - 1) / group_.size();
  const std::int64_t begin = std::min(count, group_.rank() * share), end = std::min(count, begin + share);
  at::Tensor own = at::zeros({share, 2}, at::dtype(at::kFloat).device(model_.device()));
  own.slice(0, 0, end - begin).copy_(match({pairs.begin() + begin, pairs.begin() + end}));
  return group_.all_gather(own).slice(0, 0, count);
}

PairScorer::Scores PairScorer::rerank(std::int64_t k_test, double match_weight) const {
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
  const at::Tensor logits = match_shared(pairs).cpu();
  at::Tensor scores = at::full(sims.sizes(), -100.0, at::kFloat);
  scores.masked_scatter_(wanted, logits.select(1, 1));
  const at::Tensor none = at::full({}, -100.0, at::kFloat);
  const at::Tensor contrast = sims / model_.temperature().cpu();
  at::Tensor both = contrast.clone();
  const at::Tensor log_odds = logits.select(1, 1) - logits.select(1, 0);
  both.masked_scatter_(wanted, contrast.masked_select(wanted) + match_weight * log_odds);
  return {at::where(by_image, scores, none), at::where(by_text, scores.t(), none),
          matched_first(both, contrast, by_image), matched_first(both.t(), contrast.t(), by_text),
          images() * k_texts + texts() * k_images};
}

}  // namespace vicha
