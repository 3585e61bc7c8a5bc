// AdamW (decoupled weight decay, Loshchilov and Hutter 2019) over a ParameterStore, in PyTorch's arithmetic.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "checkpoint/tensors/state_dict.h"
#include "nn/parameters.h"
#include "train/train_options.h"

namespace vicha {

/// Whose loops do the work: our own on the host and LibTorch's elsewhere, or LibTorch's everywhere (to compare).
enum class AdamWKernels { kByDevice, kLibTorch };

class AdamW {
 public:
  /// Steps the parameters of `store`, which must outlive this and already be on its device.
  AdamW(const ParameterStore& store, const OptimizerOptions& options, AdamWKernels kernels = AdamWKernels::kByDevice);

  /// L2 norm of all gradients together: a 0-D tensor on the parameters' device (on the host fp64, summed in fp64 and in
  /// the same order whatever the number of threads).
  at::Tensor gradient_norm() const;

  /// One step at learning rate `lr` times each parameter's lr_scale. Parameters without gradient are left alone, decay
  /// and step count included. `norm`, if defined, is gradient_norm(): gradients are scaled by min(1, clip_norm / (norm
  /// + 1e-6)) on the way.
  void step(double lr, const at::Tensor& norm = {});
  /// As above where the run's rate differs by parameter.
  using LearningRate = std::function<double(const Parameter&)>;
  void step(const LearningRate& lr, const at::Tensor& norm = {});

  /// Drops the gradients: they are undefined afterwards, not zero.
  void clear_gradients() const;

  /// Adds `exp_avg.NAME`, `exp_avg_sq.NAME` (fp32) and `step.NAME` (0-D int64) of every parameter that was stepped.
  void save_state(StateDict& state) const;
  /// Throws DataError naming `where` and the tensor if one is missing, has another shape or is of no parameter here.
  void load_state(const StateDict& state, std::string_view where);

 private:
  struct Moments {
    at::Tensor mean, square;  ///< like the parameter; undefined before its first step
    std::int64_t steps = 0;
  };

  bool own_kernels() const;
  void step_by_own_kernels(const LearningRate& lr, double scale);
  void step_by_libtorch(const LearningRate& lr, const at::Tensor& norm);

  const ParameterStore& store_;
  OptimizerOptions options_;
  AdamWKernels kernels_;
  std::vector<Moments> moments_;  ///< one a parameter
};

}  // namespace vicha
