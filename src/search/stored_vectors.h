// The fp16 vectors of an embedding store, each where it lies in the mapped file. A search reads a few of a million, and
// EmbeddingStore would check the sums of all blocks that these lie in: here nothing is checked but that they lie in the
// file. `vicha index` checks all blocks, a search those of a store that is quickly read (search/index_check.h).
#pragma once

#include <c10/util/Half.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/files.h"

namespace vicha {

/// Where each record's vector begins, bytes from the start of the file. Throws DataError if it is no store of one fp16
/// vector a record, or not whole.
std::vector<std::uint64_t> vector_offsets(const fs::path& store);

class StoredVectors {
 public:
  /// `offsets` outlive this. Throws DataError if one of them does not lie in the file.
  StoredVectors(const fs::path& store, std::span<const std::uint64_t> offsets, std::int64_t width);

  std::int64_t size() const { return static_cast<std::int64_t>(offsets_.size()); }
  std::int64_t width() const { return width_; }
  std::uint64_t file_bytes() const { return file_.bytes().size(); }

  std::span<const c10::Half> row(std::int64_t row) const;
  /// The row at length 1, `out` has `width` numbers.
  void unit(std::int64_t row, std::span<float> out) const;
  /// Of the row with a vector of length 1.
  double cosine(std::int64_t row, std::span<const float> unit) const;
  double cosine_of_rows(std::int64_t a, std::int64_t b) const;

 private:
  MappedFile file_;
  std::span<const std::uint64_t> offsets_;
  std::int64_t width_;
};

}  // namespace vicha
