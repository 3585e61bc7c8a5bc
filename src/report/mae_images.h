// What masked image modelling makes of a few images.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/host/model_files.h"

namespace vicha {

/// All R x R, as the model sees them.
struct MaeExample {
  std::string path;
  Image image;
  Image masked;         ///< hidden patches grey
  Image reconstructed;  ///< visible patches as they are; predicted ones with the true patch's mean and deviation
  double error = 0.0;   ///< mean squared error of the hidden patches, normalised: a flat patch would have about 1
};

struct MaeExamples {
  std::vector<MaeExample> examples;
  std::string left_out;  ///< why some images are missing, "" if none is
};

/// Up to `count` images, spread evenly over `manifest`. Patches are hidden by a fixed seed: pages of different
/// checkpoints can be compared. The model must have a MAE part. Concepts come as in an evaluation
/// (ConceptFinder::load). Throws DataError as that does.
MaeExamples mae_examples(LoadedModel& loaded, const std::filesystem::path& manifest, std::int64_t count,
                         std::optional<ConceptKit> kit = {}, const ConceptFinderOptions& concepts = {});

}  // namespace vicha
