#include "tasks/grounding/network/candidates_head.h"

#include <ATen/ATen.h>

#include "nn/vit_block.h"

namespace vicha {
namespace {

/// Length of [begin, begin + length) in each of `count` equal parts of [0, 1]: (B, C) -> (B, C, count).
at::Tensor shared_length(const at::Tensor& begin_BC, const at::Tensor& length_BC, std::int64_t count) {
  const at::Tensor edges = at::arange(count + 1, begin_BC.options()) / static_cast<double>(count);
  const at::Tensor low = at::maximum(begin_BC.unsqueeze(2), edges.slice(0, 0, count));
  const at::Tensor high = at::minimum((begin_BC + length_BC).unsqueeze(2), edges.slice(0, 1));
  return (high - low).clamp_min(0);
}

}  // namespace

at::Tensor patch_shares(const at::Tensor& boxes_BC4, std::int64_t rows, std::int64_t columns) {
  const auto number = [&](std::int64_t i) { return boxes_BC4.select(2, i); };
  const at::Tensor across = shared_length(number(0), number(2), columns),
                   down = shared_length(number(1), number(3), rows);
  const at::Tensor area_BCN = (down.unsqueeze(3) * across.unsqueeze(2)).flatten(2) + 1e-9;
  return area_BCN / area_BCN.sum(2, /*keepdim=*/true);
}

at::Tensor box_numbers(const at::Tensor& boxes_BC4, const at::Tensor& real_BC) {
  const at::Tensor x = boxes_BC4.select(2, 0), y = boxes_BC4.select(2, 1);
  const at::Tensor w = boxes_BC4.select(2, 2).clamp_min(1e-6), h = boxes_BC4.select(2, 3).clamp_min(1e-6);
  const at::Tensor own = at::stack({x, y, x + w, y + h, w, h, (w * h).sqrt(), (w / h).log()}, 2);
  const at::Tensor weight = real_BC.to(own.scalar_type()).unsqueeze(2);
  const at::Tensor mean = (own * weight).sum(1, /*keepdim=*/true) / weight.sum(1, /*keepdim=*/true).clamp_min(1);
  return at::cat({own, own - mean}, 2);
}

CandidatesHead::CandidatesHead(ParameterStore& store, const std::string& prefix, std::int64_t image_width,
                               std::int64_t text_width, std::int64_t width) {
  const auto linear = [&](const char* name, std::int64_t inputs, std::int64_t outputs) {
    return add_linear(store, prefix + name, inputs, outputs, Init::kLinearDefault);
  };
  patches = linear("patches.", image_width, width);
  text = linear("text.", text_width, width);
  box = linear("box.", kBoxNumbers, width);
  one = linear("one.", width, width);
  own = linear("own.", width, width);
  all = linear("all.", width, width);
  score = linear("score.", width, 1);
}

at::Tensor CandidatesHead::operator()(const at::Tensor& pooled_BCD, const at::Tensor& cls_BD, const at::Tensor& box_BCG,
                                      const at::Tensor& real_BC) const {
  const std::int64_t batch = pooled_BCD.size(0), count = pooled_BCD.size(1);
  const auto each = [&](const Linear& map, const at::Tensor& x) {
    return map(x.flatten(0, 1)).view({batch, count, -1});
  };
  const at::Tensor seen = each(patches, pooled_BCD), said = text(cls_BD).unsqueeze(1), place = each(box, box_BCG);
  // The product asks whether what is said is what is seen; the sum keeps both.
  const at::Tensor met = at::gelu(seen * said + seen + said + place);
  const at::Tensor candidate = at::gelu(each(one, met));
  const at::Tensor none = real_BC.logical_not();
  const at::Tensor highest = candidate.masked_fill(none.unsqueeze(2), kNoCandidate).amax(1);
  const at::Tensor compared = at::gelu(each(own, candidate) + all(highest).unsqueeze(1));
  return each(score, compared).squeeze(2).to(at::kFloat).masked_fill(none, kNoCandidate);
}

at::Tensor candidates_loss(const at::Tensor& logits_BC, const at::Tensor& right_BC) {
  const at::Tensor right = right_BC.to(at::kFloat), count = right.sum(1);
  const at::Tensor loss = -(right * logits_BC.log_softmax(1)).sum(1) / count.clamp_min(1);
  return loss.sum() / count.gt(0).sum().clamp_min(1);
}

}  // namespace vicha
