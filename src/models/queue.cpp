#include "models/queue.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "base/error.h"

namespace vicha {
namespace {

at::Tensor normalised_noise(std::int64_t embed_dim, std::int64_t length, Rng& rng) {
  at::Tensor x = at::empty({embed_dim, length}, at::kFloat);
  float* p = x.data_ptr<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) p[i] = static_cast<float>(rng.normal());
  return x / x.norm(2, {0}, true);
}

}  // namespace

Queue::Queue(ParameterStore& store, std::int64_t embed_dim, std::int64_t length, std::uint64_t seed) {
  Rng rng(seed);
  images_ = store.add_buffer("image_queue", normalised_noise(embed_dim, length, rng));
  texts_ = store.add_buffer("text_queue", normalised_noise(embed_dim, length, rng));
  pointer_ = store.add_buffer("queue_ptr", at::zeros({1}, at::kLong));
}

void Queue::keep_ids(ParameterStore& store) {
  VICHA_ASSERT(!ids_.defined());
  ids_ = store.add_buffer("idx_queue", at::full({1, images_.size(1)}, -100, at::kLong));
}

void Queue::push(const at::Tensor& image_feat, const at::Tensor& text_feat, const at::Tensor& ids) {
  const at::NoGradGuard guard;
  const std::int64_t length = images_.size(1), batch = image_feat.size(0);
  // A place may be written once only: which of two copies to it stays would be chance.
  const std::int64_t first = std::max<std::int64_t>(0, batch - length);
  const at::Tensor at = (at::arange(first, batch, pointer_.options()) + pointer_).remainder(length);
  images_.index_copy_(1, at, image_feat.slice(0, first).t().to(at::kFloat));
  texts_.index_copy_(1, at, text_feat.slice(0, first).t().to(at::kFloat));
  if (ids_.defined() && ids.defined()) {
    ids_.index_copy_(1, at, ids.slice(0, first).view({1, -1}).to(ids_.device()));
  }
  pointer_.add_(batch).remainder_(length);
}

}  // namespace vicha
