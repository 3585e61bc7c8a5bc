#include "metrics/calibration.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

namespace vicha {
namespace {

constexpr double kLeastTemperature = 0.05, kMostTemperature = 20.0;

at::Tensor in_double(const at::Tensor& x) { return x.detach().to(at::kCPU, at::kDouble).contiguous(); }
at::Tensor on_host(const at::Tensor& labels_n) { return labels_n.detach().to(at::kCPU, at::kLong).contiguous(); }

/// Rows that have a label.
std::pair<at::Tensor, at::Tensor> labelled(const at::Tensor& logits_nC, const at::Tensor& labels_n) {
  const at::Tensor labels = on_host(labels_n), rows = labels.ge(0).nonzero().squeeze(1);
  return {in_double(logits_nC).index_select(0, rows), labels.index_select(0, rows)};
}

double mean_nll(const at::Tensor& logits_nC, const at::Tensor& labels_n, double temperature) {
  if (labels_n.numel() == 0) return 0.0;
  return at::nll_loss((logits_nC / temperature).log_softmax(1), labels_n).item<double>();
}

}  // namespace

bool TemperatureFit::at_an_end() const {
  return temperature < kLeastTemperature * 1.01 || temperature > kMostTemperature / 1.01;
}

double negative_log_likelihood(const at::Tensor& logits_nC, const at::Tensor& labels_n, double temperature) {
  const at::NoGradGuard guard;
  const auto [logits, labels] = labelled(logits_nC, labels_n);
  return mean_nll(logits, labels, temperature);
}

double expected_calibration_error(const at::Tensor& confidence_n, const at::Tensor& right_n, std::int64_t bins) {
  const at::NoGradGuard guard;
  const at::Tensor confidence = in_double(confidence_n), right = in_double(right_n);
  const std::int64_t rows = confidence.numel();
  if (rows == 0) return 0.0;
  const double* c = confidence.const_data_ptr<double>();
  const double* r = right.const_data_ptr<double>();
  std::vector<double> gap(static_cast<std::size_t>(bins), 0.0);  // sum of confidence less right, of each interval
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto above = static_cast<std::int64_t>(std::ceil(c[i] * static_cast<double>(bins)));
    gap[static_cast<std::size_t>(std::clamp<std::int64_t>(above - 1, 0, bins - 1))] += c[i] - r[i];
  }
  double sum = 0.0;
  for (const double one : gap) sum += std::abs(one);
  return 100.0 * sum / static_cast<double>(rows);
}

double softmax_calibration_error(const at::Tensor& logits_nC, const at::Tensor& labels_n, double temperature,
                                 std::int64_t bins) {
  const at::NoGradGuard guard;
  const auto [logits, labels] = labelled(logits_nC, labels_n);
  if (labels.numel() == 0) return 0.0;
  const auto [confidence, best] = (logits / temperature).softmax(1).max(1);
  return expected_calibration_error(confidence, best.eq(labels), bins);
}

TemperatureFit fit_temperature(const at::Tensor& logits_nC, const at::Tensor& labels_n) {
  const at::NoGradGuard guard;
  const auto [logits, labels] = labelled(logits_nC, labels_n);
  if (labels.numel() == 0) throw std::logic_error("a temperature is fitted to rows with labels");
  // Convex in 1 / temperature, so with a single valley in its logarithm too: golden sections find it.
  const auto nll = [&, &rows = logits, &truth = labels](double log_temperature) {
    return mean_nll(rows, truth, std::exp(log_temperature));
  };
  const double golden = (std::sqrt(5.0) - 1.0) / 2.0;
  double low = std::log(kLeastTemperature), high = std::log(kMostTemperature);
  double a = high - golden * (high - low), b = low + golden * (high - low), at_a = nll(a), at_b = nll(b);
  while (high - low > 1e-6) {
    if (at_a <= at_b) {
      high = std::exchange(b, a);
      at_b = at_a;
      a = high - golden * (high - low);
      at_a = nll(a);
    } else {
      low = std::exchange(a, b);
      at_a = at_b;
      b = low + golden * (high - low);
      at_b = nll(b);
    }
  }
  TemperatureFit fit;
  fit.temperature = std::exp((low + high) / 2);
  fit.nll_before = mean_nll(logits, labels, 1.0);
  fit.nll_after = mean_nll(logits, labels, fit.temperature);
  fit.ece_before = softmax_calibration_error(logits, labels, 1.0);
  fit.ece_after = softmax_calibration_error(logits, labels, fit.temperature);
  return fit;
}

}  // namespace vicha
