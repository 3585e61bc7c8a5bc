#include "search/stored_vectors.h"

#include <cmath>

#include "base/error.h"
#include "concepts/store/store_format.h"
#include "search/damaged_part.h"

namespace vicha {

std::vector<std::uint64_t> vector_offsets(const fs::path& store) {
  const MappedFile file(store);
  const auto header = store_detail::decode_file_header(file.bytes(), store.string());
  if (!header || header->shape.vectors != 1 || header->shape.type != StoreType::kFloat16) {
    throw DataError(store.string(), "is not a store of one fp16 vector a picture");
  }
  const store_detail::StoreScan scan = store_detail::scan_blocks(file.bytes(), *header, store.string());
  if (scan.lost > 0) throw DamagedPart(store.string(), "is cut short");
  const std::uint64_t bytes = store_detail::record_bytes(header->shape);
  std::vector<std::uint64_t> offsets;
  offsets.reserve(scan.keys.size());
  for (const store_detail::StoreBlock& block : scan.blocks) {
    for (std::int64_t i = 0; i < block.records; ++i) {
      offsets.push_back(block.vectors + static_cast<std::uint64_t>(i) * bytes);
    }
  }
  return offsets;
}

StoredVectors::StoredVectors(const fs::path& store, std::span<const std::uint64_t> offsets, std::int64_t width)
    : file_(store), offsets_(offsets), width_(width) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(width) * sizeof(c10::Half), size = file_.bytes().size();
  for (const std::uint64_t offset : offsets) {
    if (offset % alignof(c10::Half) != 0 || offset > size || bytes > size - offset) {
      throw DamagedPart(store.string(), "does not hold the vectors that the index says it holds");
    }
  }
}

std::span<const c10::Half> StoredVectors::row(std::int64_t row) const {
  const std::byte* place = file_.bytes().data() + offsets_[static_cast<std::size_t>(row)];
  return {reinterpret_cast<const c10::Half*>(place), static_cast<std::size_t>(width_)};
}

void StoredVectors::unit(std::int64_t number, std::span<float> out) const {
  const std::span<const c10::Half> x = row(number);
  double square = 0;
  for (const c10::Half v : x) square += static_cast<double>(v) * static_cast<double>(v);
  const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = static_cast<float>(static_cast<double>(x[i]) * scale);
}

double StoredVectors::cosine(std::int64_t number, std::span<const float> unit) const {
  const std::span<const c10::Half> x = row(number);
  double product = 0, square = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = static_cast<double>(x[i]);
    product += v * static_cast<double>(unit[i]);
    square += v * v;
  }
  return square > 0 ? product / std::sqrt(square) : 0;
}

double StoredVectors::cosine_of_rows(std::int64_t a, std::int64_t b) const {
  const std::span<const c10::Half> x = row(a), y = row(b);
  double product = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = static_cast<double>(x[i]), w = static_cast<double>(y[i]);
    product += v * w;
    xx += v * v;
    yy += w * w;
  }
  return xx > 0 && yy > 0 ? product / std::sqrt(xx * yy) : 0;
}

}  // namespace vicha
