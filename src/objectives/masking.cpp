#include "objectives/masking.h"

#include <ATen/ATen.h>

#include <functional>

namespace vicha {
namespace {

/// `choose(row, column)` answers with the id to put there, or -1 to leave the token alone.
MaskedWords mask(const Tokens& text, const MaskingOptions& options,
                 const std::function<std::int64_t(std::int64_t, std::int64_t)>& choose) {
  const at::Tensor original = text.ids.contiguous();
  MaskedWords masked;
  masked.ids = original.clone();
  const std::int64_t length = original.size(1);
  const std::int64_t* from = original.data_ptr<std::int64_t>();
  std::int64_t* to = masked.ids.data_ptr<std::int64_t>();
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < text.size(); ++i) {
    for (std::int64_t j = 0; j < text.lengths[static_cast<std::size_t>(i)]; ++j) {
      const std::int64_t at = i * length + j;
      if (from[at] == options.cls_id || from[at] == options.pad_id) continue;
      const std::int64_t id = choose(i, j);
      if (id < 0) continue;
      masked.positions.push_back(at);
      labels.push_back(from[at]);
      to[at] = id;
    }
  }
  masked.labels = at::tensor(labels, at::kLong);
  return masked;
}

}  // namespace

void MaskedWords::for_each_tensor(const TensorVisit& visit) {
  visit(ids);
  visit(labels);
}

MaskedWords mask_words(const Tokens& text, const MaskingOptions& options, Rng& rng) {
  const std::int64_t length = text.ids.size(1);
  const at::Tensor ids = text.ids.contiguous();
  const std::int64_t* from = ids.data_ptr<std::int64_t>();
  return mask(text, options, [&](std::int64_t i, std::int64_t j) -> std::int64_t {
    if (!rng.chance(options.probability)) return -1;
    const double kind = rng.uniform();
    if (kind < 0.8) return options.mask_id;
    if (kind < 0.9) return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(options.vocabulary)));
    return from[i * length + j];
  });
}

MaskedWords mask_words(const Tokens& text, const MaskingOptions& options, const at::Tensor& chosen,
                       const at::Tensor& mask_draw, const at::Tensor& random, const at::Tensor& words) {
  const std::int64_t length = text.ids.size(1);
  const at::Tensor c = chosen.to(at::kBool).contiguous(), m = mask_draw.to(at::kBool).contiguous(),
                   r = random.to(at::kBool).contiguous(), w = words.contiguous(), ids = text.ids.contiguous();
  return mask(text, options, [&](std::int64_t i, std::int64_t j) -> std::int64_t {
    const std::int64_t at = i * length + j;
    if (!c.data_ptr<bool>()[at]) return -1;
    if (m.data_ptr<bool>()[at]) return options.mask_id;
    return r.data_ptr<bool>()[at] ? w.data_ptr<std::int64_t>()[at] : ids.data_ptr<std::int64_t>()[at];
  });
}

}  // namespace vicha
