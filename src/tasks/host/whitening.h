// Text projections that start by whitening the captions' states.
#pragma once

#include "data/pipeline/sample_maker.h"
#include "tasks/host/known_texts.h"
#include "tasks/host/task_kind.h"

namespace vicha {

/// Text projections that whiten the [CLS] states of the training captions (the first 20,000 distinct ones): mean 0,
/// equal variance in all directions (method: a start for encoders whose states hardly differ), those of the
/// hierarchical contrast too. The model's text encoder must be loaded. What `known` has of the same captions in the
/// same encoder is taken from there, to the bit; what it has not is left there.
void whiten_text_projections(TaskModel& model, const Manifest& manifest, const SampleText& text,
                             KnownTexts* known = nullptr);

}  // namespace vicha
