// From a frozen tower's features to a common space: one head for images, one for texts.
// B items, I numbers of a feature, E embedding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "config/describe.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/parameters.h"

namespace vicha {

struct HeadOptions {
  std::int64_t blocks = 1;
  std::int64_t width_factor = 2;
  double dropout = 0.1;

  void describe(Visitor& v) {
    v.field({.key = "blocks", .meaning = "Residual blocks after the linear map; 0: that alone", .min = 0, .max = 64},
            blocks);
    v.field({.key = "width_factor",
             .meaning = "Width inside a block as a multiple of the embedding's",
             .min = 1,
             .max = 16},
            width_factor);
    v.field({.key = "dropout", .meaning = "Share of a block's results dropped in training", .min = 0, .max = 0.95},
            dropout);
  }
};

/// Features less the training features' mean, divided by their deviation; kept with the weights, never learned. Until
/// it is set features stay as they are.
struct Standardisation {
  at::Tensor mean, deviation;  ///< (I) fp32

  Standardisation(ParameterStore& store, const std::string& name, std::int64_t inputs);
  /// Throws UsageError if a deviation is not above 0 (features.h makes none of that kind).
  void set(const at::Tensor& mean_I, const at::Tensor& deviation_I) const;
  at::Tensor operator()(const at::Tensor& x_BI) const;
};

/// Linear map to E, then blocks x + dropout(W2 gelu(W1 norm(x))), then length 1. A block begins as the identity.
class Head {
 public:
  /// Registers NAME.embed, NAME.blocks.N.norm|fc1|fc2.
  Head(ParameterStore& store, const std::string& name, std::int64_t inputs, std::int64_t embed_dim,
       const HeadOptions& options);

  /// (B, I) standardised features of any type -> (B, E) unit rows, fp32.
  at::Tensor operator()(const at::Tensor& x_BI, const Dropout& dropout = {}) const;

 private:
  struct Block {
    LayerNorm norm;
    Linear fc1, fc2;
  };

  Linear embed_;
  std::vector<Block> blocks_;
};

}  // namespace vicha
