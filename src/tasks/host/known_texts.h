// What the training runs of one process need not find out anew of the captions that they share: a lab's runs start from
// one text encoder, and read the same captions in other objectives.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/vicha.h"
#include "objectives/text_cache.h"

namespace vicha {

/// Mean (D) and covariance (D, D) of the [CLS] states of captions, in double precision.
struct StateMoments {
  at::Tensor mean, covariance;
};

/// Of the text encoder as it is (sizes, numbers) and of what multiplies its matrices: equal digests give captions the
/// same states, to the bit, in the same precision on the same device.
std::string text_encoder_digest(const Vicha& vicha);

class KnownTexts {
 public:
  /// Of the hidden states that were asked for, lowest first, then of the last; nullptr where they are not known.
  const std::vector<StateMoments>* moments(const std::string& key) const;
  void keep_moments(const std::string& key, std::vector<StateMoments> moments);

  /// States under a frozen encoder, for all runs that ask by one key; those of the key before it are given up, as they
  /// take memory.
  std::shared_ptr<TextCache> states(const std::string& key, std::int64_t budget_bytes);

 private:
  std::map<std::string, std::vector<StateMoments>> moments_;
  std::string states_key_;
  std::shared_ptr<TextCache> states_;
};

}  // namespace vicha
