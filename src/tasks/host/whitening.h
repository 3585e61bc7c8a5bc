// Text projections that start by whitening the captions' states.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "data/pipeline/sample_maker.h"
#include "tasks/host/task_kind.h"

namespace vicha {

/// Mean (D) and covariance (D, D) of the [CLS] states of captions, in double precision.
struct StateMoments {
  at::Tensor mean, covariance;
};

/// What earlier runs of one process have found out, by text encoder and captions: a lab's runs start from one text
/// encoder, and encoding 20,000 captions anew for each would be a quarter of a short run.
class KnownMoments {
 public:
  /// Of the hidden states that were asked for, lowest first, then of the last; nullptr where they are not known.
  const std::vector<StateMoments>* find(const std::string& key) const;
  void insert(const std::string& key, std::vector<StateMoments> moments);

 private:
  std::map<std::string, std::vector<StateMoments>> by_key_;
};

/// Text projections that whiten the [CLS] states of the training captions (the first 20,000 distinct ones): mean 0,
/// equal variance in all directions (method: a start for encoders whose states hardly differ), those of the
/// hierarchical contrast too. The model's text encoder must be loaded. What `known` has of the same captions in the
/// same encoder is taken from there, to the bit; what it has not is left there.
void whiten_text_projections(TaskModel& model, const Manifest& manifest, const SampleText& text,
                             KnownMoments* known = nullptr);

}  // namespace vicha
