// An image beside its concepts, for people: `vicha concepts show`.
#pragma once

#include "concepts/kit/concept_kit.h"
#include "image/image.h"

namespace vicha {

/// RGB: the image, fitted into a square, and to its right a bar for each concept, best first, with its cosine. Bars
/// run from the worst cosine shown to the best, since cosines of CLIP differ by little.
Image concept_sheet(const Image& image, const ImageConcepts& concepts);

}  // namespace vicha
