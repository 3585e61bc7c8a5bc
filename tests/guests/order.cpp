#include "guests/order.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <utility>

#include "base/error.h"
#include "nn/vit_block.h"

namespace guests {

using namespace vicha;

void OrderOptions::describe(Visitor& v) {
  ObjectiveOptions::describe(v);
  v.field({"moved", "", "Share of the words that change places", 0, 1}, moved);
}

std::string OrderOptions::note() const { return fmt::format("{:.0f} % moved", moved * 100); }

void OrderOptions::check(const ModelOptions& model) const {
  if (model.text.fusion_layers > 0) return;
  throw UsageError("order.enabled asks the fusion layers where words belong, and model.text.fusion_layers is 0");
}

ShuffledWords shuffle_words(const Tokens& captions, double share, Rng& rng) {
  ShuffledWords result;
  result.ids = captions.ids.clone();
  const std::int64_t length = captions.ids.size(1);
  std::vector<std::int64_t> moved;
  for (std::int64_t i = 0; i < captions.size(); ++i) {
    std::int64_t* words = result.ids.data_ptr<std::int64_t>() + i * length;
    const std::int64_t* before = captions.ids.const_data_ptr<std::int64_t>() + i * length;
    const std::int64_t real = captions.lengths[static_cast<std::size_t>(i)];
    std::vector<std::int64_t> drawn;
    for (std::int64_t k = 1; k < real; ++k) {
      if (rng.chance(share)) drawn.push_back(k);
    }
    for (std::size_t k = drawn.size(); k > 1; --k) std::swap(words[drawn[k - 1]], words[drawn[rng.below(k)]]);
    for (std::int64_t k = 1; k < real; ++k) moved.push_back(words[k] != before[k] ? 1 : 0);
  }
  result.moved = at::tensor(moved, at::kLong);
  return result;
}

at::Tensor order_loss(const at::Tensor& logits_M2, const at::Tensor& moved_M) {
  return at::cross_entropy_loss(logits_M2.to(at::kFloat), moved_M);
}

OrderObjective::OrderObjective(const OrderOptions& options, Vicha& model) : options_(options) {
  // Its learning rate is that of the heads that read the fusion layers; `freeze` and `start` know it as order_head.
  const ParameterStore::Scope fusion_heads(model.parameters(), "fusion_heads"), scope(model.parameters(), "order_head");
  head_ = add_linear(model.parameters(), "order_head.", model.options().text.width, 2, Init::kLinearDefault);
}

void OrderObjective::add_targets(Batch& batch, Rng& rng) const {
  batch.add(shuffle_words(batch.text, options_.moved, rng));
}

namespace {

class OrderStep : public ObjectiveStep {
 public:
  OrderStep(const OrderObjective& objective, Encodings& encodings) : objective_(objective), encodings_(encodings) {}

  void join_text(TextPass& pass) override {
    const Batch& batch = encodings_.batch();
    pack_ = encodings_.pack(Tokens{batch.get<ShuffledWords>().ids, batch.text.lengths});
    text_part_ = pass.add(pack_, /*momentum=*/false);
  }

  /// Each shuffled caption with its own picture, read at its words.
  void join_fusion(FusionPass& pass) override {
    const std::int64_t offset = pass.source(encodings_.text_rows(text_part_));
    std::vector<FusionPlan::Sequence> sequences;
    for (std::int64_t i = 0; i < pack_.size(); ++i) {
      FusionPlan::Sequence sequence = FusionPlan::sequence(pack_, i, offset, i);
      for (std::int64_t word = 1; word < sequence.real; ++word) sequence.read.push_back(word);
      if (!sequence.read.empty()) sequences.push_back(std::move(sequence));
    }
    fusion_part_ = pass.add(std::move(sequences));
  }

  at::Tensor loss() override {
    const at::Tensor words = encodings_.fused(fusion_part_);
    if (words.size(0) == 0) return encodings_.nothing();
    const at::Tensor logits = objective_.head()(words);
    return order_loss(logits, encodings_.batch().get<ShuffledWords>().moved.to(logits.device()));
  }

 private:
  const OrderObjective& objective_;
  Encodings& encodings_;
  PackedText pack_;
  TextPass::Part text_part_ = 0;
  FusionPass::Part fusion_part_ = 0;
};

}  // namespace

std::unique_ptr<ObjectiveStep> OrderObjective::begin(Encodings& encodings, const Distillation&) const {
  return std::make_unique<OrderStep>(*this, encodings);
}

ObjectiveKind order_kind() {
  return {.key = "order",
          .title = "Word order",
          .name = "WOP",
          .curve = "WOP: words out of place",
          .measure = "nats a word",
          .checkpoint_names = {"order_head.**"},
          .options = OrderOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<OrderObjective>(dynamic_cast<const OrderOptions&>(options), model);
          }};
}

}  // namespace guests
