// Whether probabilities are honest, and the temperature that makes them so (Guo et al., "On calibration of modern
// neural networks", 2017). n rows, C classes; on the CPU or a device, computed in double precision.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace vicha {

/// Mean of -log softmax(logits / temperature)[label], nats, over rows with a label; a label below 0 is none. 0 where no
/// row has one.
double negative_log_likelihood(const at::Tensor& logits_nC, const at::Tensor& labels_n, double temperature = 1.0);

/// Percent. Rows fall into `bins` equal intervals of confidence (0, 1]; the mean over rows of |mean confidence - mean
/// of `right`| of their interval. `right_n`: 0 or 1, or a share where an answer may be right in part.
double expected_calibration_error(const at::Tensor& confidence_n, const at::Tensor& right_n, std::int64_t bins = 15);
/// The same of a softmax's best class.
double softmax_calibration_error(const at::Tensor& logits_nC, const at::Tensor& labels_n, double temperature = 1.0,
                                 std::int64_t bins = 15);

struct TemperatureFit {
  double temperature = 1.0;
  double nll_before = 0, nll_after = 0;  ///< nats
  double ece_before = 0, ece_after = 0;  ///< percent

  /// Whether it lies at an end of the range that is searched: the set does not tell how sure the model may be.
  bool at_an_end() const;
};
/// The temperature of least negative log-likelihood, from 0.05 to 20 (where all rows are right or none is, the best
/// lies at an end). Throws std::logic_error where no row has a label.
TemperatureFit fit_temperature(const at::Tensor& logits_nC, const at::Tensor& labels_n);

}  // namespace vicha
