#include "nn/attention_watch.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace vicha {

at::Tensor AttentionWatch::attend(const at::Tensor& q_TD, const at::Tensor& k_SD, const at::Tensor& v_SD,
                                  std::int64_t heads, const SegmentsPtr& segments) {
  const auto count = static_cast<std::int64_t>(segments->list.size());
  const std::int64_t width = q_TD.size(1) / heads;
  const SegmentIndex& index = segments->index_on(q_TD.device());
  const auto heads_of = [&](const at::Tensor& x, const at::Tensor& at) {
    return x.detach().to(at::kFloat).index({at}).view({count, at.size(1), heads, width}).transpose(1, 2);
  };
  segments_ = segments;
  {
    const at::NoGradGuard guard;
    const at::Tensor scores = at::matmul(heads_of(q_TD, index.q_NQ), heads_of(k_SD, index.k_NK).transpose(2, 3)) *
                              (1.0 / std::sqrt(static_cast<double>(width)));
    const at::Tensor unseen = index.seen.logical_not();
    probabilities_NHQK_ = scores.masked_fill(unseen, -std::numeric_limits<float>::infinity()).softmax(3);
  }
  probabilities_NHQK_.set_requires_grad(true);
  const at::AutoGradMode enabled(true);
  const at::Tensor out = at::matmul(probabilities_NHQK_, heads_of(v_SD, index.k_NK));
  return out.transpose(1, 2)
      .reshape({count * index.q_NQ.size(1), heads * width})
      .index_select(0, index.back_T)
      .to(q_TD.scalar_type());
}

at::Tensor AttentionWatch::map(const at::Tensor& number, bool again) const {
  VICHA_ASSERT(probabilities_NHQK_.defined() && number.requires_grad());
  const at::Tensor gradient = torch::autograd::grad({number}, {probabilities_NHQK_}, {}, again).front();
  const at::NoGradGuard guard;
  const at::Tensor map_NQK = (probabilities_NHQK_ * gradient.clamp_min(0)).mean(1);
  return map_NQK.flatten(0, 1).index_select(0, segments_->index_on(map_NQK.device()).back_T).detach();
}

}  // namespace vicha
