// Whether scores of pictures and captions can rank anything at all.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "data/pipeline/evaluation.h"

namespace vicha {

class ScoreGate {
 public:
  /// `model`: its name, for messages. Both outlive the gate.
  ScoreGate(const EvaluationSet& set, std::string_view model) : set_(set), model_(model) {}

  /// (I, X) scores of pictures and captions. Throws DataError naming the model and the first pair whose score is NaN or
  /// an infinity.
  void require_finite(const at::Tensor& scores) const;
  /// Cosines, (I, X): as require_finite, and throws DataError for a picture or a caption whose cosines are all exactly
  /// 0, as its embedding then is zero. Warns, once, where no picture's cosines differ from those of the others.
  void require_meaning(const at::Tensor& cosines) const;

 private:
  std::string picture(std::int64_t image) const;
  std::string caption(std::int64_t text) const;

  const EvaluationSet& set_;
  std::string_view model_;
};

}  // namespace vicha
