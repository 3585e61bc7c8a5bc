#include "objectives/itm.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "nn/host_copy.h"
#include "nn/vit_block.h"

namespace vicha {

at::Tensor itm_loss(const at::Tensor& logits, const std::vector<std::int64_t>& negative_image,
                    const std::vector<std::int64_t>& negative_text) {
  if (negative_image.empty()) return logits.to(at::kFloat).sum() * 0.0;
  constexpr std::int64_t kIgnored = -100;
  std::vector<std::int64_t> labels(negative_image.size(), 1);
  for (const auto* negatives : {&negative_image, &negative_text}) {
    for (const std::int64_t index : *negatives) labels.push_back(index < 0 ? kIgnored : 0);
  }
  return at::cross_entropy_loss(logits.to(at::kFloat), to_device(at::tensor(labels, at::kLong), logits.device()), {},
                                at::Reduction::Mean, kIgnored);
}

ItmObjective::ItmObjective(const ObjectiveOptions& options, Vicha& model) : options_(options) {
  const ParameterStore::Scope fusion_heads(model.parameters(), "fusion_heads"), scope(model.parameters(), "itm_head");
  head_ = add_linear(model.parameters(), "itm_head.", model.options().text.width, 2, Init::kLinearDefault);
}

std::unique_ptr<ObjectiveStep> ItmObjective::begin(Encodings& encodings, const Distillation&) const {
  return std::make_unique<ItmStep>(head_, encodings);
}

const ItmStep::Negatives& ItmStep::negatives() {
  if (negatives_) return *negatives_;
  const at::NoGradGuard guard;
  Negatives n;
  const Encodings::Similarities& s = encodings_.similarities();
  const std::int64_t batch = encodings_.size();
  at::Tensor same = encodings_.positives(false);
  if (!same.defined()) same = at::eye(batch, at::dtype(at::kBool).device(s.i2t.device()));
  const auto weights = [&](const at::Tensor& sim) {
    return sim.slice(1, 0, batch).to(at::kFloat).softmax(1).masked_fill(same, 0.0);
  };
  // A row whose weights have all vanished draws uniformly among the allowed.
  const auto usable = [&](const at::Tensor& w) {
    return at::where(w.sum(1, true).gt(0), w, same.logical_not().to(at::kFloat));
  };
  n.weights_t2i = weights(s.t2i);
  n.weights_i2t = weights(s.i2t);
  n.image = encodings_.draws().negatives(usable(n.weights_t2i), NegativeSide::kImage);
  n.text = encodings_.draws().negatives(usable(n.weights_i2t), NegativeSide::kText);
  return negatives_.emplace(std::move(n));
}

void ItmStep::join_fusion(FusionPass& pass) {
  const Negatives& n = negatives();
  const TextStates& text = encodings_.text();
  const std::int64_t offset = pass.source(text.states), batch = encodings_.size();
  std::vector<FusionPlan::Sequence> pairs;
  const auto add = [&](std::int64_t of_text, std::int64_t of_image) {
    pairs.push_back(FusionPlan::sequence(text.pack, of_text, offset, of_image, {0}));
  };
  // A pair without a negative keeps its place with its own image or text; the loss leaves it out.
  const auto other = [](std::int64_t negative, std::int64_t own) { return negative < 0 ? own : negative; };
  for (std::int64_t i = 0; i < batch; ++i) add(i, i);
  for (std::int64_t i = 0; i < batch; ++i) add(i, other(n.image[static_cast<std::size_t>(i)], i));
  for (std::int64_t i = 0; i < batch; ++i) add(other(n.text[static_cast<std::size_t>(i)], i), i);
  part_ = pass.add(std::move(pairs));
}

at::Tensor ItmStep::logits() {
  const at::Tensor rows = encodings_.fused(part_);
  return head_(rows);
}

at::Tensor ItmStep::loss() {
  const at::Tensor all = logits();
  return itm_loss(all, negatives().image, negatives().text);
}

ObjectiveKind itm_kind() {
  return {.key = "itm",
          .title = "Image–text matching",
          .name = "ITM",
          .curve = "ITM: image–text matching",
          .measure = "nats",
          .checkpoint_names = {"itm_head.**"},
          .heads_always = true,
          .options = ObjectiveOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<ItmObjective>(options, model);
          }};
}

}  // namespace vicha
