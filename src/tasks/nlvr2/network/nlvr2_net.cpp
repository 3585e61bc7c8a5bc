#include "tasks/nlvr2/network/nlvr2_net.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include "base/error.h"

namespace vicha {
namespace {

Vicha& checked(Vicha& model) {
  require_pictures_of_statement(model.options());
  return model;
}

void require_fusion_layers(const ModelOptions& options) {
  if (options.text.fusion_layers == 0) {
    throw UsageError("model.text.fusion_layers = 0 leaves no layer that reads the pictures; set it to 1 or more");
  }
}

}  // namespace

void require_two_images(const ModelOptions& options) {
  if (options.fusion.images != kPicturesOfStatement) {
    throw UsageError(
        fmt::format("model.fusion.images = {}, and a statement is about two pictures; set "
                    "model.fusion.images=2 (weights of a model with one may fill it)",
                    options.fusion.images));
  }
  require_fusion_layers(options);
}

void require_pictures_of_statement(const ModelOptions& options) {
  if (options.fusion.images != 1 && options.fusion.images != kPicturesOfStatement) {
    throw UsageError(fmt::format(
        "model.fusion.images = {}, and a statement is about two pictures: set 2, where one pass reads both, "
        "or 1, where the text is read with either picture apart",
        options.fusion.images));
  }
  require_fusion_layers(options);
}

Nlvr2Net::Nlvr2Net(Vicha& model, TeacherVit teacher)
    : model_(checked(model)),
      teacher_(teacher),
      head_(add_classifier(model.parameters(), "cls_head", model.options().text.width, /*classes=*/2,
                           passes_of_statement(model.options()))) {}

at::Tensor Nlvr2Net::logits(const StatementInput& input, const Dropout& dropout) const {
  return head_.online(encode_statements(model_.online(), input, dropout));
}

Nlvr2Net::Step Nlvr2Net::step(const StatementInput& input, const at::Tensor& labels_B, double alpha,
                              const Dropout& dropout) const {
  Step step;
  step.logits = logits(input, dropout);
  if (alpha > 0) {
    const at::NoGradGuard guard;
    Encoders teacher = model_.momentum();  // the copy's tensors, not copies of them
    if (teacher_ == TeacherVit::kReleased) teacher.vit = model_.online().vit;
    step.momentum_logits = head_.momentum(encode_statements(teacher, input, dropout));
  }
  step.loss = distilled_cross_entropy(step.logits, labels_B, step.momentum_logits, alpha);
  return step;
}

}  // namespace vicha
