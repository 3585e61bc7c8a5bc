// An index as a search reads it: mapped, nothing of it parsed but what hits need.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "search/calibrate_index.h"
#include "search/calibration.h"
#include "search/codes.h"
#include "search/index_files.h"
#include "search/nearest_rows.h"
#include "search/stored_vectors.h"

namespace vicha {

class PictureIndex {
 public:
  /// Throws DataError that says so where the index is half built, damaged, or none.
  explicit PictureIndex(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return paths_.folder; }
  const IndexDescription& description() const { return description_; }
  const Calibration& calibration() const { return calibration_; }
  std::int64_t rows() const { return codes_.rows(); }
  const StoredVectors& vectors() const { return vectors_; }
  std::uint64_t picture_hash(std::int64_t row) const { return codes_.picture_hashes()[static_cast<std::size_t>(row)]; }

  /// Exact, or by clusters with the recall that `vicha index` measured.
  std::vector<Neighbour> nearest(std::span<const float> unit, std::int64_t k) const {
    return nearest_rows(codes_, vectors_, unit, k, codes_.header().looked_at);
  }
  double familiarity(std::span<const float> unit) const { return vicha::familiarity(background_, unit); }
  Spread spread(std::span<const float> unit) const { return spread_of(codes_, unit); }
  /// Of one picture, by name; at least one.
  std::vector<IndexedFile> files(std::int64_t row) const;
  std::filesystem::path path(const IndexedFile& file) const;

 private:
  IndexPaths paths_;
  IndexDescription description_;
  Calibration calibration_;
  Codes codes_;
  StoredVectors vectors_;
  MappedFile lines_;
  at::Tensor background_;
};

}  // namespace vicha
