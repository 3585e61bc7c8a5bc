// A tower of texts with its tokenizer. n texts, P width of a feature.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/source/provenance.h"
#include "towers/tower.h"

namespace vicha {

class TextEncoder {
 public:
  /// Opens the tower (towers/registry.h) and its vocabulary. `vocabulary`: used instead of the file beside the weights; empty:
  /// that one. Throws as they do.
  static std::unique_ptr<TextEncoder> open(std::string_view spec, const std::string& device,
                                           const std::string& vocabulary = {});
  explicit TextEncoder(std::unique_ptr<TextTower> tower, const std::string& vocabulary = {});

  const TextTower& tower() const { return *tower_; }
  const SourceWeights& weights() const { return weights_; }
  std::int64_t width() const { return tower_->width(); }

  /// -> (n, P), fp32 on the CPU; sorted by length inside, so that nothing is padded and all cores work. Longer texts than the
  /// tower takes are cut. Throws DataError naming a text that has no token.
  at::Tensor encode(std::span<const std::string> texts) const;

 private:
  std::unique_ptr<TextTower> tower_;
  SourceWeights weights_;
  std::function<std::vector<std::int64_t>(std::string_view text)> tokenize_;
};

}  // namespace vicha
