// Classes of a fused text: linear, ReLU, linear, and the loss with soft targets of a momentum copy (method, section 5).
// n rows, D width, C classes, I width of what is read: D, or that of several texts side by side.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "nn/linear.h"
#include "nn/parameters.h"

namespace vicha {

struct ClassifierHead {
  Linear hidden, output;

  /// Registers "<prefix>0." (D, I) and "<prefix>2." (C, D), as released checkpoints call them ("cls_head.").
  ClassifierHead(ParameterStore& store, const std::string& prefix, std::int64_t input, std::int64_t width,
                 std::int64_t classes);

  /// (n, I) -> (n, C)
  at::Tensor operator()(const at::Tensor& fused_nI) const;
};

/// Both copies, in the scopes "heads", "fusion_heads" and `name` ("cls_head", and "cls_head_m"). `texts` fused texts
/// stand side by side in a row.
Twins<ClassifierHead> add_classifier(ParameterStore& store, const std::string& name, std::int64_t width,
                                     std::int64_t classes, std::int64_t texts = 1);

/// (1 - alpha) * cross-entropy + alpha * cross-entropy with the softmax of `momentum_nC`; mean over rows, fp32. Without
/// those (undefined), or with alpha 0, the first alone.
at::Tensor distilled_cross_entropy(const at::Tensor& logits_nC, const at::Tensor& labels_n,
                                   const at::Tensor& momentum_nC, double alpha);

}  // namespace vicha
