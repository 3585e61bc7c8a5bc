// Joint fusion: the images and the words of a text as one sequence, [class, regions of image 0; of image 1; …; text]
// (model.fusion.kind = joint; method, section 4).
// T text rows, S rows of images, D width.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/fusion.h"

namespace vicha {

/// The plan's sequences for the layers. `text_TD`: their text rows, one sequence after the other; `image_SD`: rows of
/// `images`, as Bert::image_kv has them. No sequence sees another, and nothing sees padding of a text, whose rows stand
/// at the end of its sequence.
FusionInput join_sequences(const Bert& bert, const at::Tensor& text_TD, const at::Tensor& image_SD,
                           const FusionPlan& plan, const FusedImages& images);

}  // namespace vicha
