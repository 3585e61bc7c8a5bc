// codes.bin of an index: a small whole one, some of whose bytes the input replaces, with the header's sum set right or
// not; opened, and read wherever a search reads it.
#include <ATen/ATen.h>
#include <zlib.h>

#include <cstring>
#include <string>
#include <vector>

#include "concepts/store/store.h"
#include "fuzz.h"
#include "search/codes.h"
#include "search/nearest_rows.h"

namespace {

using namespace vicha;

constexpr std::int64_t kRows = 9, kWidth = 5;

/// Three clusters of three pictures, one file each.
std::string whole_codes(const fuzz::ScratchFolder& folder) {
  const SourceWeights source{"clip", "tiny", std::string(64, 'a'), "clip 32"};
  StoreShape shape;
  shape.width = kWidth;
  shape.type = StoreType::kFloat16;
  {
    EmbeddingStoreWriter writer(folder / "pictures.emb", source, shape);
    std::vector<std::string> keys;
    std::vector<std::uint64_t> contents;
    for (std::int64_t i = 0; i < kRows; ++i) {
      keys.push_back(std::to_string(i));
      contents.push_back(static_cast<std::uint64_t>(i));
    }
    writer.add(keys, contents, at::sin(at::arange(kRows * kWidth, at::kFloat)).view({kRows, kWidth}));
    writer.finish();
  }
  CodesContent content;
  content.vector_offsets = vector_offsets(folder / "pictures.emb");
  for (std::int64_t i = 0; i < kRows; ++i) {
    content.picture_hashes.push_back(static_cast<std::uint64_t>(i));
    content.file_begin.push_back(static_cast<std::uint32_t>(i));
    content.files_of_rows.push_back(static_cast<std::uint32_t>(i));
    content.line_begin.push_back(static_cast<std::uint64_t>(10 * i));
    content.cluster_of_rows.push_back(static_cast<std::uint32_t>(i % 3));
  }
  content.file_begin.push_back(kRows);
  content.line_begin.push_back(10 * kRows);
  content.centroids.assign(3 * kWidth, 0.4f);
  content.looked_at = 2;
  const StoredVectors vectors(folder / "pictures.emb", content.vector_offsets, kWidth);
  write_codes(folder / "codes.bin", vectors, content);
  return folder.read("codes.bin");
}

/// The first byte says whether the sum is set right and whether the file is cut; then two bytes of a place and one of
/// what stands there, again and again.
std::string damaged(std::string codes, fuzz::Bytes input) {
  const std::uint8_t way = input.empty() ? 0 : input[0];
  for (std::size_t i = 1; i + 2 < input.size(); i += 3) {
    codes[(input[i] | std::size_t{input[i + 1]} << 8) % codes.size()] = static_cast<char>(input[i + 2]);
  }
  if (way % 4 != 0) {
    CodesHeader header;
    std::memcpy(&header, codes.data(), sizeof header);
    header.crc = 0;
    header.crc = static_cast<std::uint32_t>(::crc32(0, reinterpret_cast<const Bytef*>(&header), sizeof header));
    std::memcpy(codes.data(), &header, sizeof header);
  }
  if (way % 16 == 15) codes.resize(codes.size() * way / 256);
  return codes;
}

void search(const fuzz::ScratchFolder& folder) {
  const Codes codes(folder / "codes.bin");
  for (std::int64_t row = 0; row < codes.rows(); ++row) {
    fuzz::accepted([&] {
      for (const std::uint32_t file : codes.files(row)) codes.line(file);
    });
  }
  const StoredVectors vectors(folder / "pictures.emb", codes.vector_offsets(), codes.width());
  std::vector<float> unit(static_cast<std::size_t>(codes.width()), 0.0f);
  unit[0] = 1;
  for (const Neighbour& found : nearest_rows(codes, vectors, unit, 4, codes.header().looked_at)) {
    fuzz::require(found.row >= 0 && found.row < codes.rows(), "a hit is a picture of the index");
  }
  spread_of(codes, unit);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ScratchFolder folder;
  static const std::string codes = whole_codes(folder);
  folder.write("codes.bin", damaged(codes, {data, size}));
  fuzz::accepted([] { search(folder); });
  return 0;
}
