// Rows of token ids as tensors.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/pipeline/batch_queue.h"
#include "data/pipeline/picture_features.h"
#include "models/batch.h"

namespace vicha {

/// Padded on the right with `pad_id` to the longest row, or to `length` where that is more. Rows are not empty.
Tokens collate_tokens(const std::vector<const std::vector<std::int64_t>*>& rows, std::int64_t pad_id,
                      std::int64_t length = 0);

/// (n) int64.
at::Tensor int64_tensor(const std::vector<std::int64_t>& values);

struct CollateOptions {
  std::int64_t pad_id = 0;
  bool text = true, concepts = true;                 ///< which to fill in
  std::int64_t text_length = 0, concept_length = 0;  ///< least lengths; 0: the longest of the batch
};

/// The core of a batch, and FurtherPictures where its samples have such; without other targets. The image tensors are
/// taken over, not copied.
Batch collate(DraftBatch& draft, const CollateOptions& options);

/// Of one picture as a model reads it: (3, side, side) pixels, or (N, P) features where there are such.
std::vector<std::int64_t> picture_shape(std::int64_t side, const PictureFeatures* features);

/// Pictures of that shape, fp32, with whatever is in memory, and room for B samples, each with so many further
/// pictures.
std::unique_ptr<DraftBatch> make_draft(std::int64_t number, std::int64_t batch_size,
                                       const std::vector<std::int64_t>& shape, bool pinned,
                                       std::size_t further_pictures = 0);

}  // namespace vicha
