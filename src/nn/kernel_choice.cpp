#include "nn/kernel_choice.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "base/error.h"
#include "nn/operations.h"

namespace vicha {
namespace {

/// What set_matmul_kernel named last, or -1. A run that is resumed names its kernel after others have measured.
std::atomic<int> forced = -1;

const KernelChoice& measured();

/// Asked before every product.
MatmulKernel fp32_kernel() {
  const int named = forced.load(std::memory_order_relaxed);
  return named < 0 ? measured().fp32 : static_cast<MatmulKernel>(named);
}

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

/// Best of several rounds, the candidates in turn, so that what else the machine does hits all alike. GFLOP/s.
std::vector<double> rates(double operations, const std::vector<std::function<void()>>& candidates) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> best(candidates.size(), 1e9);
  for (const auto& run : candidates) run();
  for (int round = 0; round < 6; ++round) {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const auto start = Clock::now();
      candidates[i]();
      best[i] = std::min(best[i], std::chrono::duration<double>(Clock::now() - start).count());
    }
  }
  for (double& seconds : best) seconds = operations / seconds * 1e-9;
  return best;
}

/// A step's three products of one linear map: forward, gradient of the input, gradient of the weight.
void three_products(const at::Tensor& x, const at::Tensor& w, const at::Tensor& g, bool onednn) {
  if (onednn) {
    onednn_nt(x, w, {});
    onednn_nt(g, w.t().contiguous(), {});
    onednn_nt(g.t().contiguous(), x.t().contiguous(), {});
  } else {
    at::mm(x, w.t());
    at::mm(g, w);
    at::mm(g.t(), x);
  }
}

KernelChoice measure() {
  KernelChoice choice;
  const c10::InferenceMode guard;
  const std::int64_t t = 512, i = 768, o = 768;
  const double operations = 6.0 * t * i * o;
  const at::Tensor x = at::randn({t, i}), w = at::randn({o, i}), g = at::randn({t, o});
  std::vector<std::function<void()>> candidates = {[&] { three_products(x, w, g, false); }};
  at::Tensor xb, wb, gb;
  if (find_pointwise()) {
    candidates.emplace_back([&] { three_products(x, w, g, true); });
    xb = x.to(at::kBFloat16);
    wb = w.to(at::kBFloat16);
    gb = g.to(at::kBFloat16);
    // Without hardware for it bf16 is an order of magnitude slower, at least in some of the three: small ones tell.
    const auto few = [](const at::Tensor& rows) { return rows.slice(0, 0, 32).contiguous(); };
    const at::Tensor few_x = few(x), few_g = few(g), few_xb = few(xb), few_gb = few(gb);
    const auto probe = rates(
        1.0, {[&] { three_products(few_x, w, few_g, false); }, [&] { three_products(few_xb, wb, few_gb, false); }});
    if (probe[1] > 0.3 * probe[0]) candidates.emplace_back([&] { three_products(xb, wb, gb, false); });
  }
  const std::vector<double> rate = rates(operations, candidates);
  choice.blas_fp32_gflops = rate[0];
  if (rate.size() > 1) choice.onednn_fp32_gflops = rate[1];
  if (rate.size() > 2) choice.bf16_gflops = rate[2];
  // The other kernel gives other last bits, so runs that should agree must not fall on different sides by chance: it
  // has to be faster by more than noise.
  if (choice.onednn_fp32_gflops > 1.4 * choice.blas_fp32_gflops) choice.fp32 = MatmulKernel::kOneDnn;
  // Casting weights and activations costs too: bf16 must be clearly faster in the products to pay.
  choice.bf16_is_faster = choice.bf16_gflops > 1.5 * std::max(choice.blas_fp32_gflops, choice.onednn_fp32_gflops);
  return choice;
}

const KernelChoice& measured() {
  static const KernelChoice choice = measure();
  return choice;
}

/// oneDNN refuses products of nothing.
bool use_onednn(const at::Tensor& x) {
  return x.numel() > 0 && x.is_cpu() && x.scalar_type() == at::kFloat && fp32_kernel() == MatmulKernel::kOneDnn;
}

}  // namespace

std::string KernelChoice::describe() const {
  return fmt::format("fp32 products by {} (BLAS {:.0f}, oneDNN {:.0f} GFLOP/s), bf16 {:.0f} GFLOP/s",
                     fp32 == MatmulKernel::kBlas ? "BLAS" : "oneDNN", blas_fp32_gflops, onednn_fp32_gflops,
                     bf16_gflops);
}

KernelChoice kernel_choice() {
  KernelChoice choice = measured();
  choice.fp32 = fp32_kernel();
  return choice;
}

void set_matmul_kernel(std::string_view name) {
  if (name == "auto") {
    forced = -1;
  } else if (name == "blas") {
    forced = static_cast<int>(MatmulKernel::kBlas);
  } else if (name == "onednn" && find_pointwise()) {
    forced = static_cast<int>(MatmulKernel::kOneDnn);
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
