#include "objectives/alignment_loss.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <limits>

#include "base/error.h"
#include "objectives/itc.h"

namespace vicha {

void AlignmentOptions::describe(Visitor& v) {
  ObjectiveOptions::describe(v);
  v.choice({"loss", "",
            "infonce: cross-entropy over a learned temperature, both directions; margin: what the largest similarity "
            "of a row has over its positive (the older summary's)"},
           loss, {{"infonce", AlignmentForm::kInfoNce}, {"margin", AlignmentForm::kMargin}});
}

void TemperedAlignmentOptions::describe(Visitor& v) {
  AlignmentOptions::describe(v);
  v.field({"temperature", "", "Where its learned temperature starts (loss = infonce)", 0.001, 0.5}, temperature);
}

at::Tensor margin_loss(const at::Tensor& similarity_RC, const at::Tensor& positives_RC) {
  if (similarity_RC.size(0) == 0) return similarity_RC.sum() * 0.0;
  const at::Tensor positive = positives_RC.defined() ? positives_RC
                                                     : at::eye(similarity_RC.size(0), similarity_RC.size(1),
                                                               similarity_RC.options().dtype(at::kBool));
  constexpr double kNothing = -std::numeric_limits<double>::infinity();
  // Of a row without negatives -inf, of which nothing is left below.
  const at::Tensor hardest_R1 = std::get<0>(similarity_RC.masked_fill(positive, kNothing).max(1, /*keepdim=*/true));
  const at::Tensor over_RC = (hardest_R1 - similarity_RC).clamp_min(0.0);
  const at::Tensor weight_RC = positive.to(similarity_RC.scalar_type());
  return (over_RC * weight_RC / weight_RC.sum(1, true)).sum(1).mean();
}

at::Tensor infonce_loss(const at::Tensor& similarity_RC, const at::Tensor& positives_RC,
                        const at::Tensor& temperature) {
  const at::Tensor scaled = similarity_RC / temperature;
  const at::Tensor positives_CR = positives_RC.defined() ? positives_RC.t() : positives_RC;
  return (contrast_loss(scaled, positives_RC, {}, 0.0) + contrast_loss(scaled.t(), positives_CR, {}, 0.0)) / 2;
}

Alignment::Alignment(const TemperedAlignmentOptions& options, const std::string& name, ParameterStore& store)
    : form_(options.loss), own_(true) {
  if (form_ != AlignmentForm::kInfoNce) return;
  temperature_ = store.add(name, {}, Init::kZeros);
  const at::NoGradGuard guard;
  temperature_.fill_(options.temperature);
}

at::Tensor Alignment::operator()(const at::Tensor& similarity_RC, const at::Tensor& positives_RC) const {
  if (form_ == AlignmentForm::kMargin) return margin_loss(similarity_RC.to(at::kFloat), positives_RC);
  if (own_) {
    // As the model's own in pretraining.
    const at::NoGradGuard guard;
    at::Tensor(temperature_).clamp_(0.001, 0.5);
  }
  return infonce_loss(similarity_RC, positives_RC, temperature_);
}

}  // namespace vicha
