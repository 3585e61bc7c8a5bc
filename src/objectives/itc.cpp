#include "objectives/itc.h"

#include <ATen/ATen.h>

namespace vicha {

at::Tensor contrast_loss(const at::Tensor& sim_BC, const at::Tensor& positives_BC, const at::Tensor& soft_BC,
                         double alpha) {
  if (sim_BC.size(0) == 0) return sim_BC.to(at::kFloat).sum() * 0.0;
  const at::Tensor logp = sim_BC.to(at::kFloat).log_softmax(1);
  at::Tensor hard;
  if (positives_BC.defined()) {
    const at::Tensor equal = positives_BC.to(at::kFloat);
    hard = -(equal / equal.sum(1, true) * logp).sum(1).mean();
  } else {
    hard = -logp.diagonal().mean();
  }
  if (alpha == 0.0) return hard;
  const at::Tensor soft = -(soft_BC.softmax(1) * logp).sum(1).mean();
  return (1.0 - alpha) * hard + alpha * soft;
}

at::Tensor itc_loss(const at::Tensor& i2t_BC, const at::Tensor& t2i_BC, const at::Tensor& positives_BC,
                    const at::Tensor& soft_i2t_BC, const at::Tensor& soft_t2i_BC, double alpha) {
  return (contrast_loss(i2t_BC, positives_BC, soft_i2t_BC, alpha) +
          contrast_loss(t2i_BC, positives_BC, soft_t2i_BC, alpha)) /
         2;
}

void ItcOptions::describe(Visitor& v) {
  ObjectiveOptions::describe(v);
  v.choice({"positives", "",
            "What else in the batch and the queue counts as right: nothing (the paper), the same caption, the same "
            "picture"},
           positives,
           {{"index", Positives::kIndex}, {"caption", Positives::kCaption}, {"image_id", Positives::kImageId}});
}

namespace {

class ItcStep : public ObjectiveStep {
 public:
  ItcStep(Encodings& encodings, double alpha) : encodings_(encodings), alpha_(alpha) {}

  at::Tensor loss() override {
    const Encodings::Similarities& online = encodings_.similarities();
    Encodings::Similarities soft;
    if (alpha_ > 0.0) soft = encodings_.momentum_similarities();
    return itc_loss(online.i2t, online.t2i, encodings_.positives(true), soft.i2t, soft.t2i, alpha_);
  }

 private:
  Encodings& encodings_;
  double alpha_;
};

class ItcObjective : public Objective {
 public:
  ItcObjective(const ItcOptions& options, Vicha& model) : options_(options) {
    if (options.positives != Positives::kIndex) model.queue().keep_ids(model.parameters());
  }
  const ObjectiveOptions& options() const override { return options_; }
  void want(Wants& wants) const override { wants.features = true; }
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override {
    return std::make_unique<ItcStep>(encodings, distillation.alpha);
  }

 private:
  ItcOptions options_;
};

}  // namespace

ObjectiveKind itc_kind() {
  return {.key = "itc",
          .title = "Image–text contrast",
          .name = "ITC",
          .curve = "ITC: image–text contrast",
          .measure = "nats",
          .checkpoint_names = {},
          .options = ItcOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<ItcObjective>(dynamic_cast<const ItcOptions&>(options), model);
          }};
}

}  // namespace vicha
