// Makes the calibration of an index by asking it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "search/calibration.h"
#include "search/codes.h"
#include "search/search_model.h"
#include "search/stored_vectors.h"

namespace vicha {

struct CalibrateOptions {
  /// Captions that the model was not trained on, with their pictures, which may lie in the index or not; empty: none.
  std::filesystem::path manifest = {}, image_root = {};
  std::int64_t strip_parts = 0;
  std::int64_t most_captions = 1000, hits = 20, nonsense = 200, pictures = 500;
};

/// A text's cosine with the nearest background text (b, E, of length 1); `left_out`: one that does not count.
double familiarity(const at::Tensor& background, std::span<const float> unit, std::int64_t left_out = -1);

/// `background`: background_texts() by the model, of length 1. `row_of_content`: which row holds a file's content, if
/// one does. Without a manifest by background texts and nonsense. Throws DataError if the manifest has no captions or
/// none of its pictures can be read.
Calibration calibrate_index(const Codes& codes, const StoredVectors& vectors, SearchModel& model,
                            const at::Tensor& background,
                            const std::function<std::optional<std::int64_t>(std::uint64_t)>& row_of_content,
                            const CalibrateOptions& options);

/// The cosines with their nearest other picture of some pictures, ascending: what picture queries are judged by.
std::vector<double> nearest_others(const Codes& codes, const StoredVectors& vectors, std::int64_t pictures);

}  // namespace vicha
