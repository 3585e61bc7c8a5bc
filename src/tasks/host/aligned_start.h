// Heads that `vicha align` trained as the start of a model's contrast (init.heads, model.heads).
#pragma once

#include <string>

#include "data/manifest/manifest.h"
#include "data/pipeline/picture_features.h"
#include "data/pipeline/sample_maker.h"
#include "models/vicha.h"

namespace vicha {

/// Makes the recipe's model have heads of the size that `heads` (a run of `vicha align`, or a checkpoint of one) has.
/// Throws DataError if it is no such run, or UsageError naming both where model.embed_dim is another.
void fit_to_heads(ModelOptions& model, const std::string& heads);

/// The heads, or the mean of them over steps where the run kept one, the moments of what they read, and the
/// temperature. The projections of the class tokens start at 0: the contrast is at first the heads'.
void start_as_heads(Vicha& model, const std::string& heads);

/// Throws DataError naming `heads` unless the model's patches and words, of some of the training set's pictures and
/// captions, are such as the heads were trained on: by mean and deviation, which the heads keep. Logs how far off they
/// are.
void require_same_moments(const Vicha& model, const std::string& heads, const Manifest& manifest,
                          const SampleText& text, const PictureFeatures& features);

}  // namespace vicha
