// Text projections that start by whitening the captions' states.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <unordered_set>

#include "base/log.h"
#include "data/pipeline/collate.h"
#include "objectives/hitc.h"
#include "tasks/host/model_files.h"

namespace vicha {
namespace {

/// W (E, D), b (E) such that W x + b has mean 0 and covariance 1 over the rows of x (n, D): principal directions,
/// largest variance first.
void whiten(const at::Tensor& x, const Linear& projection) {
  const at::Tensor rows = x.to(at::kDouble), mean = rows.mean(0), centred = rows - mean;
  const at::Tensor covariance = at::mm(centred.t(), centred) / std::max<std::int64_t>(1, rows.size(0) - 1);
  const auto [values, vectors] = at::linalg_eigh(covariance);
  const std::int64_t wanted = projection.weight.size(0), there = std::min(wanted, values.size(0));
  const at::Tensor largest = values.slice(0, values.size(0) - there).flip(0);
  const at::Tensor directions = vectors.slice(1, vectors.size(1) - there).flip(1);
  // Directions without variance are rounding noise: they are not blown up beyond a thousandth of the largest.
  const at::Tensor scale = largest.clamp_min(largest.max() * 1e-6).rsqrt();
  const at::Tensor weight = (directions * scale).t();
  at::Tensor w = projection.weight, b = projection.bias;
  w.slice(0, 0, there).copy_(weight);
  b.slice(0, 0, there).copy_(-at::mv(weight, mean));
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

}  // namespace

void whiten_text_projections(TaskModel& model, const Manifest& manifest, const SampleText& text) {
  const at::NoGradGuard guard;
  const Tokens captions = caption_tokens(manifest, text);
  Vicha& vicha = model.vicha();
  const auto* hierarchy = model.objectives().find<HitcObjective>();
  const std::int64_t count = captions.size(),
                     levels = hierarchy ? static_cast<std::int64_t>(hierarchy->text_projections().size()) : 0;
  std::vector<std::vector<at::Tensor>> hidden(static_cast<std::size_t>(levels));
  std::vector<at::Tensor> last;
  constexpr std::int64_t kChunk = 256;
  for (std::int64_t i = 0; i < count; i += kChunk) {
    const std::int64_t end = std::min(count, i + kChunk);
    const Tokens part{captions.ids.slice(0, i, end), {captions.lengths.begin() + i, captions.lengths.begin() + end}};
    const TextStates out = vicha.online().encode_text(PackedText::packed(part, vicha.device()), Dropout(), levels);
    for (std::size_t j = 0; j < out.hidden.size(); ++j) hidden[j].push_back(out.hidden[j].cpu());
    last.push_back(out.cls.cpu());
  }
  for (std::size_t j = 0; j < hidden.size(); ++j) whiten(at::cat(hidden[j]), hierarchy->text_projections()[j]);
  whiten(at::cat(last), vicha.online().text_proj);
  vicha.reset_momentum();
  log::info("text projections whiten the states of {} captions", count);
}

}  // namespace vicha
