// Features in stores (concepts/store/store.h): an EmbeddingStore whose records are one picture's, or one text's,
// features.
//   pooled    `vectors` = V views, of P numbers
//   patches   `vectors` = V views * N patches (rows * columns, row by row), of D numbers
//   texts     `vectors` = 1, of P numbers; the key is the text as the manifest has it (caption_key of very long ones)
// What the vectors are stands in the store's header (`FeatureLayout`, JSON "layout"), so that nobody has to guess. A
// store without one (`vicha concepts embed`) of one vector a record passes for pooled features, and for texts. `vicha
// embed --patches --out FILE` writes two: FILE (pooled) and FILE.patches.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/store/store.h"

namespace vicha {

/// FILE.patches.
std::filesystem::path patches_beside(const std::filesystem::path& pooled);

class FeatureStore {
 public:
  /// Throws DataError naming the file if it is none, is damaged, or holds other features than `kind` (naming both).
  static FeatureStore open(const std::filesystem::path& path, FeatureKind kind);

  const SourceWeights& source() const { return store_->source(); }
  const std::filesystem::path& path() const { return store_->path(); }
  const FeatureLayout& layout() const { return layout_; }
  std::int64_t width() const { return store_->shape().width; }
  const EmbeddingStore& store() const { return *store_; }

  /// The newest record of each key, in this order; of texts the keys are the texts themselves. Throws DataError naming
  /// `manifest`, the store and the first key that is missing, how many are, and the command that adds them.
  std::vector<std::int64_t> records_of(std::span<const std::string> keys, std::string_view manifest) const;
  /// (records, N, D) of one view each, fp32; of pooled features and texts N = 1. On all threads, out of the map; any
  /// number of threads may call it. Throws DataError naming the block if one that is needed is damaged.
  at::Tensor gather(std::span<const std::int64_t> records, std::span<const std::int64_t> views) const;
  /// The same of one view of all.
  at::Tensor gather(std::span<const std::int64_t> records, std::int64_t view = 0) const;

  /// All vectors of the records in the store's own type, for what keeps them in memory: (records * vectors, width) of
  /// fp32, fp16 or int8; of int8 with the scales (records * vectors) fp32.
  struct Stored {
    at::Tensor rows, scale;
  };
  Stored load(std::span<const std::int64_t> records) const;

 private:
  std::shared_ptr<const EmbeddingStore> store_;
  FeatureLayout layout_;
};

}  // namespace vicha
