#include "tasks/host/whitening.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <unordered_set>

#include "base/log.h"
#include "base/sha256.h"
#include "data/pipeline/collate.h"
#include "objectives/hitc.h"

namespace vicha {
namespace {

StateMoments moments_of(const at::Tensor& states_ND) {
  const at::Tensor rows = states_ND.to(at::kDouble), mean = rows.mean(0), centred = rows - mean;
  return {mean, at::mm(centred.t(), centred) / std::max<std::int64_t>(1, rows.size(0) - 1)};
}

/// W (E, D), b (E) such that W x + b has mean 0 and covariance 1: principal directions, largest variance first.
void whiten(const StateMoments& x, const Linear& projection) {
  const auto [values, vectors] = at::linalg_eigh(x.covariance);
  const std::int64_t wanted = projection.weight.size(0), there = std::min(wanted, values.size(0));
  const at::Tensor largest = values.slice(0, values.size(0) - there).flip(0);
  const at::Tensor directions = vectors.slice(1, vectors.size(1) - there).flip(1);
  // Directions without variance are rounding noise: they are not blown up beyond a thousandth of the largest.
  const at::Tensor scale = largest.clamp_min(largest.max() * 1e-6).rsqrt();
  const at::Tensor weight = (directions * scale).t();
  at::Tensor w = projection.weight, b = projection.bias;
  w.slice(0, 0, there).copy_(weight);
  b.slice(0, 0, there).copy_(-at::mv(weight, x.mean));
}

/// Distinct captions of the training set, the first 20,000.
Tokens caption_tokens(const Manifest& manifest, const SampleText& text) {
  constexpr std::size_t kMost = 20000;
  std::unordered_set<std::string> seen;
  std::vector<std::vector<std::int64_t>> rows;
  for (std::int64_t i = 0; i < manifest.size() && rows.size() < kMost; ++i) {
    for (const std::string_view caption : manifest.captions(i)) {
      const auto [cleaned, is_new] = seen.insert(text.clean(caption));
      if (!is_new) continue;
      rows.push_back(text.encode(*cleaned));
      if (rows.size() == kMost) break;
    }
  }
  std::vector<const std::vector<std::int64_t>*> pointers;
  for (const auto& row : rows) pointers.push_back(&row);
  return collate_tokens(pointers, text.pad_id());
}

/// Of all that the moments depend on: two that are equal have equal moments.
std::string key_of(const Vicha& vicha, const Tokens& captions, std::int64_t levels) {
  Sha256 digest;
  digest.update(fmt::format("{}\n{} levels, {} by {}\n", text_encoder_digest(vicha), levels, captions.ids.size(0),
                            captions.ids.size(1)));
  const at::Tensor ids = captions.ids.contiguous();
  digest.update({static_cast<const char*>(ids.const_data_ptr()), ids.nbytes()});
  digest.update({reinterpret_cast<const char*>(captions.lengths.data()), std::span(captions.lengths).size_bytes()});
  return digest.hex();
}

/// Of the `levels` hidden states below the last, then of the last.
std::vector<StateMoments> caption_moments(const Vicha& vicha, const Tokens& captions, std::int64_t levels) {
  std::vector<std::vector<at::Tensor>> states(static_cast<std::size_t>(levels) + 1);
  constexpr std::int64_t kChunk = 256;
  for (std::int64_t i = 0; i < captions.size(); i += kChunk) {
    const std::int64_t end = std::min(captions.size(), i + kChunk);
    const Tokens part{captions.ids.slice(0, i, end), {captions.lengths.begin() + i, captions.lengths.begin() + end}};
    const TextStates out = vicha.online().encode_text(PackedText::packed(part, vicha.device()), Dropout(), levels);
    for (std::size_t j = 0; j < out.hidden.size(); ++j) states[j].push_back(out.hidden[j].cpu());
    states.back().push_back(out.cls.cpu());
  }
  std::vector<StateMoments> moments;
  for (const auto& level : states) moments.push_back(moments_of(at::cat(level)));
  return moments;
}

}  // namespace

void whiten_text_projections(TaskModel& model, const Manifest& manifest, const SampleText& text, KnownTexts* known) {
  const at::NoGradGuard guard;
  const Tokens captions = caption_tokens(manifest, text);
  Vicha& vicha = model.vicha();
  const auto* hierarchy = model.objectives().find<HitcObjective>();
  const std::int64_t levels = hierarchy ? static_cast<std::int64_t>(hierarchy->text_projections().size()) : 0;
  const std::string key = known ? key_of(vicha, captions, levels) : "";
  const std::vector<StateMoments>* earlier = known ? known->moments(key) : nullptr;
  const std::vector<StateMoments> moments = earlier ? *earlier : caption_moments(vicha, captions, levels);
  for (std::size_t j = 0; j + 1 < moments.size(); ++j) whiten(moments[j], hierarchy->text_projections()[j]);
  whiten(moments.back(), vicha.online().text_proj);
  vicha.reset_momentum();
  log::info("text projections whiten the states of {} captions{}", captions.size(),
            earlier ? ", which an earlier run encoded" : "");
  if (known && !earlier) known->keep_moments(key, moments);
}

}  // namespace vicha
