#include "nn/gelu.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/dispatch.h"
#include "nn/kernels.h"
#include "nn/parallel.h"

namespace vicha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// `row(x, bias, out, width)`, a kernel of any element type, over all rows of contiguous tensors.
template <class Row>
void each_row(const at::Tensor& input, const at::Tensor& bias_F, const at::Tensor& out, const Row& row) {
  const std::int64_t width = input.size(-1), rows = input.numel() / width;
  dispatch_type(input.scalar_type(), [&]<class T>() {
    const T* from = input.data_ptr<T>();
    T* to = out.data_ptr<T>();
    const float* bias = bias_F.data_ptr<float>();
    parallel_rows(rows, width, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) row(from + i * width, bias, to + i * width, width);
    });
  });
}

struct BiasGeluFunction : torch::autograd::Function<BiasGeluFunction> {
  static Variable forward(AutogradContext* ctx, const Variable& x, const Variable& bias) {
    const at::Tensor input = x.contiguous();
    const at::Tensor out = at::empty_like(input);
    each_row(input, bias, out, [](const auto* from, const float* b, auto* to, std::int64_t width) {
      kernels::bias_gelu_row(from, b, to, width);
    });
    ctx->save_for_backward({input, bias});
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &input = saved[0], grad = grads[0].contiguous();
    at::Tensor grad_x = at::empty_like(input);
    const std::int64_t width = input.size(-1), rows = input.numel() / width;
    ThreadSums sums(width);
    dispatch_type(input.scalar_type(), [&]<class T>() {
      const T *from = grad.data_ptr<T>(), *x = input.data_ptr<T>();
      T* to = grad_x.data_ptr<T>();
      const float* bias_p = saved[1].data_ptr<float>();
      parallel_rows(rows, width, [&](std::int64_t begin, std::int64_t end) {
        float* mine = sums.mine();
        for (std::int64_t i = begin; i < end; ++i) {
          kernels::bias_gelu_backward_row<T>(from + i * width, x + i * width, bias_p, to + i * width, mine, width);
        }
      });
    });
    return {grad_x, sums.total()};
  }
};

}  // namespace

at::Tensor bias_gelu(const at::Tensor& x_TF, const at::Tensor& bias_F) {
  if (!x_TF.is_cpu()) return at::gelu(x_TF + bias_F.to(x_TF.scalar_type()));
  return BiasGeluFunction::apply(x_TF, bias_F);
}

at::Tensor bias_quick_gelu_(const at::Tensor& x_TF, const at::Tensor& bias_F) {
  const at::NoGradGuard no_grad;
  if (!x_TF.is_cpu()) {
    const at::Tensor v = x_TF + bias_F.to(x_TF.scalar_type());
    return v * at::sigmoid(v * 1.702);
  }
  const at::Tensor x = x_TF.contiguous();
  each_row(x, bias_F, x, [](const auto* from, const float* bias, auto* to, std::int64_t width) {
    kernels::bias_quick_gelu_row(from, bias, to, width);
  });
  return x;
}

}  // namespace vicha
