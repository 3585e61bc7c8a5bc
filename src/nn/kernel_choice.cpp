#include "nn/kernel_choice.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <fmt/format.h>

#include <chrono>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "nn/operations.h"

namespace vicha {
namespace {

std::optional<MatmulKernel> forced;

using PointwiseLinear = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                   std::string_view, c10::List<std::optional<at::Scalar>>,
                                   std::optional<std::string_view>);

/// oneDNN's inner product; LibTorch offers it to its compiler only, so it is reached by name.
std::optional<c10::TypedOperatorHandle<PointwiseLinear>> find_pointwise() {
  const auto handle = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (!handle || !at::hasMKLDNN()) return std::nullopt;
  return handle->typed<PointwiseLinear>();
}

at::Tensor onednn_nt(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  static const auto pointwise = find_pointwise();
  const std::optional<at::Tensor> b = bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt;
  const c10::List<std::optional<at::Scalar>> none;
  return pointwise->call(x, weight, b, "none", none, "");
}

template <class F>
double gflops(double operations, const F& run) {
  using Clock = std::chrono::steady_clock;
  run();
  double best = 1e9;
  for (int i = 0; i < 4; ++i) {
    const auto start = Clock::now();
    run();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return operations / best * 1e-9;
}

KernelChoice measure() {
  KernelChoice choice;
  const c10::InferenceMode guard;
  const std::int64_t t = 512, i = 768, o = 1536;
  const double operations = 2.0 * t * i * o;
  const at::Tensor x = at::randn({t, i}), w = at::randn({o, i}), bias;
  choice.blas_fp32_gflops = gflops(operations, [&] { at::mm(x, w.t()); });
  if (find_pointwise()) {
    choice.onednn_fp32_gflops = gflops(operations, [&] { onednn_nt(x, w, bias); });
    const at::Tensor xb = x.to(at::kBFloat16), wb = w.to(at::kBFloat16);
    // Without hardware support bf16 is an order of magnitude slower; a small product tells.
    const at::Tensor xs = xb.slice(0, 0, 64).contiguous();
    const double small = gflops(2.0 * 64 * i * o, [&] { at::mm(xs, wb.t()); });
    choice.bf16_gflops =
        small < 0.5 * choice.blas_fp32_gflops ? small : gflops(operations, [&] { at::mm(xb, wb.t()); });
  }
  // Ten percent is within what a shared machine's noise does to so short a measurement.
  if (choice.onednn_fp32_gflops > 1.1 * choice.blas_fp32_gflops) choice.fp32 = MatmulKernel::kOneDnn;
  // Casting weights and activations costs too: bf16 must be clearly faster in the products to pay.
  choice.bf16_is_faster = choice.bf16_gflops > 1.3 * std::max(choice.blas_fp32_gflops, choice.onednn_fp32_gflops);
  if (forced) choice.fp32 = *forced;
  return choice;
}

bool use_onednn(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && kernel_choice().fp32 == MatmulKernel::kOneDnn;
}

}  // namespace

std::string KernelChoice::describe() const {
  return fmt::format("fp32 products by {} (BLAS {:.0f}, oneDNN {:.0f} GFLOP/s), bf16 {:.0f} GFLOP/s",
                     fp32 == MatmulKernel::kBlas ? "BLAS" : "oneDNN", blas_fp32_gflops, onednn_fp32_gflops,
                     bf16_gflops);
}

const KernelChoice& kernel_choice() {
  static const KernelChoice choice = measure();
  return choice;
}

void set_matmul_kernel(std::string_view name) {
  if (name == "auto") {
    forced.reset();
  } else if (name == "blas") {
    forced = MatmulKernel::kBlas;
  } else if (name == "onednn" && find_pointwise()) {
    forced = MatmulKernel::kOneDnn;
  } else {
    throw UsageError(fmt::format("unknown or unavailable matrix-product kernel '{}': one of auto, blas, onednn", name));
  }
}

namespace products {

at::Tensor nt(const at::Tensor& x_TI, const at::Tensor& weight_OI, const at::Tensor& bias_O) {
  count_product(x_TI.size(0), weight_OI.size(0), weight_OI.size(1));
  if (use_onednn(x_TI)) return onednn_nt(x_TI.contiguous(), weight_OI.contiguous(), bias_O);
  return bias_O.defined() ? at::addmm(bias_O, x_TI, weight_OI.t()) : at::mm(x_TI, weight_OI.t());
}

at::Tensor nn(const at::Tensor& grad_TO, const at::Tensor& weight_OI) {
  count_product(grad_TO.size(0), weight_OI.size(1), weight_OI.size(0));
  // oneDNN takes the second operand transposed: the copy of W^T is small beside the product.
  if (use_onednn(grad_TO)) return onednn_nt(grad_TO.contiguous(), weight_OI.t().contiguous(), {});
  return at::mm(grad_TO, weight_OI);
}

at::Tensor tn(const at::Tensor& grad_TO, const at::Tensor& x_TI) {
  count_product(grad_TO.size(1), x_TI.size(1), x_TI.size(0));
  if (use_onednn(grad_TO)) return onednn_nt(grad_TO.t().contiguous(), x_TI.t().contiguous(), {});
  return at::mm(grad_TO.t(), x_TI);
}

}  // namespace products
}  // namespace vicha
