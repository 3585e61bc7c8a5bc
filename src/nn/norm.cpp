#include "nn/norm.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

#include "nn/dispatch.h"
#include "nn/kernels.h"
#include "nn/parallel.h"
#include "nn/precision.h"

namespace vicha {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

struct Shape {
  std::int64_t rows, width;
};
Shape shape_of(const at::Tensor& x) { return {x.numel() / x.size(-1), x.size(-1)}; }

template <class T>
T* data(const at::Tensor& x) {
  return x.defined() ? x.data_ptr<T>() : nullptr;
}

/// out, statistics (rows, 2); fills `sum` unless delta is undefined (then `sum` is the input).
std::pair<at::Tensor, at::Tensor> norm_forward(const at::Tensor& residual, const at::Tensor& delta,
                                               const at::Tensor& bias, const at::Tensor& sum, const at::Tensor& weight,
                                               const at::Tensor& shift, double eps, const DropoutDraw& drop,
                                               at::ScalarType out_type) {
  const auto [rows, width] = shape_of(sum);
  at::Tensor out = at::empty(sum.sizes(), sum.options().dtype(out_type));
  at::Tensor statistics = at::empty({rows, 2}, sum.options().dtype(at::kFloat));
  dispatch_types(out_type, sum.scalar_type(), [&, rows = rows, width = width]<class T, class R>() {
    const R* residual_p = data<R>(residual);
    const T* delta_p = data<T>(delta);
    const float *bias_p = data<float>(bias), *weight_p = data<float>(weight), *shift_p = data<float>(shift);
    R* sum_p = data<R>(sum);
    T* out_p = data<T>(out);
    float* statistics_p = data<float>(statistics);
    parallel_rows(rows, width, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto s = kernels::residual_norm_row<T, R>(
            residual_p == nullptr ? nullptr : residual_p + i * width,
            delta_p == nullptr ? nullptr : delta_p + i * width, bias_p, weight_p, shift_p, static_cast<float>(eps),
            drop.threshold(), drop.row_seed(i), drop.scale(), sum_p + i * width, out_p + i * width, width);
        statistics_p[2 * i] = s.mean;
        statistics_p[2 * i + 1] = s.rstd;
      }
    });
  });
  return {out, statistics};
}

struct NormGrads {
  at::Tensor sum, weight, shift;
};

NormGrads norm_backward(const at::Tensor& grad_out, const at::Tensor& upstream, const at::Tensor& sum,
                        const at::Tensor& statistics, const at::Tensor& weight) {
  const auto [rows, width] = shape_of(sum);
  NormGrads grads{at::empty_like(sum), {}, {}};
  ThreadSums sums(2 * width);
  dispatch_types(grad_out.scalar_type(), sum.scalar_type(), [&, rows = rows, width = width]<class T, class R>() {
    const T* grad_p = data<T>(grad_out);
    const R *upstream_p = data<R>(upstream), *sum_p = data<R>(sum);
    R* result_p = data<R>(grads.sum);
    const float *statistics_p = data<float>(statistics), *weight_p = data<float>(weight);
    parallel_rows(rows, width, [&](std::int64_t begin, std::int64_t end) {
      float* mine = sums.mine();
      for (std::int64_t i = begin; i < end; ++i) {
        kernels::residual_norm_backward_row<T, R>(
            grad_p + i * width, upstream_p == nullptr ? nullptr : upstream_p + i * width, sum_p + i * width,
            {statistics_p[2 * i], statistics_p[2 * i + 1]}, weight_p, result_p + i * width, mine, mine + width, width);
      }
    });
  });
  const at::Tensor total = sums.total();
  grads.weight = total.slice(0, 0, width);
  grads.shift = total.slice(0, width);
  return grads;
}

struct LayerNormFunction : torch::autograd::Function<LayerNormFunction> {
  static Variable forward(AutogradContext* ctx, const Variable& x, const Variable& weight, const Variable& shift,
                          double eps) {
    const at::Tensor input = x.contiguous();
    auto [out, statistics] = norm_forward({}, {}, {}, input, weight, shift, eps, {}, branch_type(input));
    ctx->save_for_backward({input, statistics, weight});
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const NormGrads g = norm_backward(grads[0].contiguous(), {}, saved[0], saved[1], saved[2]);
    return {g.sum, g.weight, g.shift, Variable()};
  }
};

struct ResidualNormFunction : torch::autograd::Function<ResidualNormFunction> {
  static variable_list forward(AutogradContext* ctx, const Variable& residual, const Variable& delta,
                               const Variable& bias, const Variable& weight, const Variable& shift, double eps,
                               const DropoutDraw& drop) {
    const at::Tensor stream = residual.contiguous(), branch = delta.contiguous();
    at::Tensor sum = at::empty_like(stream);
    auto [out, statistics] = norm_forward(stream, branch, bias, sum, weight, shift, eps, drop, branch.scalar_type());
    ctx->save_for_backward({sum, statistics, weight});
    ctx->set_materialize_grads(false);
    ctx->saved_data["probability"] = drop.probability;
    ctx->saved_data["seed"] = static_cast<std::int64_t>(drop.seed);
    ctx->saved_data["branch"] = static_cast<std::int64_t>(branch.scalar_type());
    return {sum, out};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor& sum = saved[0];
    const auto [rows, width] = shape_of(sum);
    const DropoutDraw drop{ctx->saved_data["probability"].toDouble(),
                           static_cast<std::uint64_t>(ctx->saved_data["seed"].toInt())};
    const auto branch = static_cast<at::ScalarType>(ctx->saved_data["branch"].toInt());
    NormGrads g;
    if (grads[1].defined()) {
      const at::Tensor upstream = grads[0].defined() ? grads[0].contiguous() : at::Tensor();
      g = norm_backward(grads[1].contiguous(), upstream, sum, saved[1], saved[2]);
    } else if (grads[0].defined()) {
      g.sum = grads[0].contiguous();
    } else {
      return {Variable(), Variable(), Variable(), Variable(), Variable(), Variable(), Variable()};
    }
    at::Tensor grad_delta = at::empty(sum.sizes(), sum.options().dtype(branch));
    ThreadSums sums(width);
    dispatch_types(branch, sum.scalar_type(), [&, rows = rows, width = width]<class T, class R>() {
      const R* from = data<R>(g.sum);
      T* to = data<T>(grad_delta);
      parallel_rows(rows, width, [&](std::int64_t begin, std::int64_t end) {
        float* mine = sums.mine();
        for (std::int64_t i = begin; i < end; ++i) {
          kernels::drop_backward_row<T, R>(from + i * width, drop.threshold(), drop.row_seed(i), drop.scale(),
                                           to + i * width, mine, width);
        }
      });
    });
    return {g.sum, grad_delta, sums.total(), g.weight, g.shift, Variable(), Variable()};
  }
};

/// For devices without kernels of our own.
at::Tensor drop_composite(const at::Tensor& x, const DropoutDraw& drop) {
  return drop.probability == 0.0 ? x : at::dropout(x, drop.probability, true);
}

}  // namespace

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  if (!x.is_cpu()) return at::layer_norm(x, {x.size(-1)}, weight, bias, eps);
  return LayerNormFunction::apply(x, weight, bias, eps);
}

ResidualNorm residual_layer_norm(const at::Tensor& residual_TD, const at::Tensor& delta_TD, const at::Tensor& bias_D,
                                 const LayerNorm& norm, const DropoutDraw& dropout) {
  if (!delta_TD.is_cpu()) {
    const at::Tensor sum = residual_TD + drop_composite(delta_TD + bias_D, dropout);
    return {sum, at::layer_norm(sum, {sum.size(-1)}, norm.weight, norm.bias, norm.eps)};
  }
  const variable_list both =
      ResidualNormFunction::apply(residual_TD, delta_TD, bias_D, norm.weight, norm.bias, norm.eps, dropout);
  return {both[0], both[1]};
}

at::Tensor unit_rows(const at::Tensor& x_BE) {
  const at::Tensor x = x_BE.to(at::kFloat);
  return x / x.norm(2, {1}, true).clamp_min(1e-12);
}

}  // namespace vicha
