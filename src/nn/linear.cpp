#include "nn/linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "nn/kernel_choice.h"
#include "nn/kernels.h"
#include "nn/parallel.h"
#include "nn/precision.h"

namespace vicha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

at::Tensor column_sums(const at::Tensor& grad_TO) {
  if (!grad_TO.is_cpu() || grad_TO.scalar_type() == at::kFloat) return grad_TO.sum(0);
  return grad_TO.sum(at::IntArrayRef{0}, false, at::kFloat);
}

struct MatmulFunction : torch::autograd::Function<MatmulFunction> {
  static Variable forward(AutogradContext* ctx, const Variable& x, const Variable& weight,
                          const std::optional<at::Tensor>& bias) {
    const at::ScalarType type = branch_type(x);
    const at::Tensor input = x.to(type);
    const at::Tensor w = type == at::kFloat ? weight : weight.to(type);
    ctx->save_for_backward({input, w});
    ctx->saved_data["bias"] = bias.has_value();
    ctx->saved_data["x_type"] = static_cast<std::int64_t>(x.scalar_type());
    ctx->saved_data["needs_x"] = x.requires_grad();
    ctx->saved_data["needs_w"] = weight.requires_grad();
    return products::nt(input, w, bias ? bias->to(type) : at::Tensor());
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor grad = grads[0].contiguous();
    Variable grad_x, grad_weight, grad_bias;
    if (ctx->saved_data["needs_x"].toBool()) {
      grad_x = products::nn(grad, saved[1]).to(static_cast<at::ScalarType>(ctx->saved_data["x_type"].toInt()));
    }
    if (ctx->saved_data["needs_w"].toBool()) {
      grad_weight = products::tn(grad, saved[0]).to(at::kFloat);
      if (ctx->saved_data["bias"].toBool()) grad_bias = column_sums(grad);
    }
    return {grad_x, grad_weight, grad_bias};
  }
};

at::Tensor apply(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  const std::int64_t inputs = weight.size(1), outputs = weight.size(0);
  const at::Tensor flat = x.dim() == 2 ? x : x.reshape({-1, inputs});
  const at::Tensor y = MatmulFunction::apply(flat, weight, bias);
  if (x.dim() == 2) return y;
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = outputs;
  return y.view(shape);
}

}  // namespace

at::Tensor matmul_nt(const at::Tensor& x_TI, const at::Tensor& weight_OI) {
  return apply(x_TI, weight_OI, std::nullopt);
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return apply(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
}

}  // namespace vicha
