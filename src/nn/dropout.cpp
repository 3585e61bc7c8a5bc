#include "nn/dropout.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/dispatch.h"
#include "nn/kernels.h"
#include "nn/parallel.h"

namespace vicha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// The forward and the backward pass are the same: multiply by the mask.
at::Tensor multiply_by_mask(const at::Tensor& x, const DropoutDraw& draw) {
  const at::Tensor input = x.contiguous();
  at::Tensor out = at::empty_like(input);
  const std::int64_t width = input.size(-1), rows = input.numel() / width;
  ThreadSums unused(width);
  dispatch_type(input.scalar_type(), [&]<class T>() {
    const T* from = input.data_ptr<T>();
    T* to = out.data_ptr<T>();
    parallel_rows(rows, width, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        kernels::drop_backward_row<T, T>(from + i * width, draw.threshold(), draw.row_seed(i), draw.scale(),
                                         to + i * width, unused.mine(), width);
      }
    });
  });
  return out;
}

struct DropoutFunction : torch::autograd::Function<DropoutFunction> {
  static Variable forward(AutogradContext* ctx, const Variable& x, const DropoutDraw& draw) {
    ctx->saved_data["probability"] = draw.probability;
    ctx->saved_data["seed"] = static_cast<std::int64_t>(draw.seed);
    return multiply_by_mask(x, draw);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const DropoutDraw draw{ctx->saved_data["probability"].toDouble(),
                           static_cast<std::uint64_t>(ctx->saved_data["seed"].toInt())};
    return {multiply_by_mask(grads[0], draw), Variable()};
  }
};

}  // namespace

at::Tensor apply_dropout(const at::Tensor& x, const DropoutDraw& draw) {
  if (draw.probability == 0.0) return x;
  if (!x.is_cpu()) return at::dropout(x, draw.probability, true);
  return DropoutFunction::apply(x, draw);
}

}  // namespace vicha
