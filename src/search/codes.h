// codes.bin: the vectors of an index in 8 bits, and what a search needs of each picture without reading the list of
// files. Numbers are little-endian; sections begin at multiples of 64 bytes, in the order of `CodeSections`.
//
// A vector u of length 1 is kept as whole numbers c with a scale s, and with e = |u - s c|. For a query q of length 1
// the cosine q·u lies within e of s (q·c): so a search that reads the codes alone knows which pictures can be among the
// best, and compares only these by their fp16 vectors. It reads half of what fp16 takes and its answer is exact.
//
// An index of many pictures has them in clusters, and codes lie cluster by cluster: slot i holds picture row_of[i].
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "search/stored_vectors.h"

namespace vicha {

struct CodesHeader {
  char magic[8];
  std::uint32_t version, crc;  ///< of the header, with crc = 0
  std::uint64_t build;         ///< what the parts of one index have in common
  std::int64_t rows, width, stride, files, clusters, looked_at;
  std::uint64_t file_bytes, store_bytes;  ///< of this file, and of the store of vectors
  std::uint64_t sum;                      ///< content_hash of all behind the header; 0: an earlier program's
  std::uint64_t zero[4];
};
static_assert(sizeof(CodesHeader) == 128);

/// What codes.bin is made of, beside the vectors.
struct CodesContent {
  std::uint64_t build = 0;
  std::vector<std::uint64_t> vector_offsets;   ///< of each row in the store
  std::vector<std::uint64_t> picture_hashes;   ///< of each row
  std::vector<std::uint32_t> file_begin;       ///< rows + 1: where a row's files begin in `files_of_rows`
  std::vector<std::uint32_t> files_of_rows;    ///< numbers of lines of files.jsonl
  std::vector<std::uint64_t> line_begin;       ///< files + 1: bytes of files.jsonl
  std::vector<float> centroids;                ///< clusters * width, of length 1; may be empty
  std::vector<std::uint32_t> cluster_of_rows;  ///< then empty too
  std::int64_t looked_at = 0;                  ///< clusters that a search looks at; 0: all
};

/// A mapped codes.bin.
class Codes {
 public:
  /// Throws DataError if it is none, of a later version, or not as long as it says.
  explicit Codes(const fs::path& path);

  const CodesHeader& header() const { return *header_; }
  /// Whether the sum is right; reads all of the file. True where there is none.
  bool right() const;
  std::int64_t rows() const { return header_->rows; }
  std::int64_t width() const { return header_->width; }

  std::span<const std::int8_t> codes() const { return codes_; }  ///< slots * stride
  std::span<const float> scales() const { return scales_; }      ///< of slots
  std::span<const float> errors() const { return errors_; }
  std::span<const std::uint32_t> row_of() const { return row_of_; }
  std::span<const std::uint64_t> vector_offsets() const { return vector_offsets_; }
  std::span<const std::uint64_t> picture_hashes() const { return picture_hashes_; }
  /// Lines of files.jsonl. Throws DataError where the file lies.
  std::span<const std::uint32_t> files(std::int64_t row) const;
  std::pair<std::uint64_t, std::uint64_t> line(std::int64_t file) const;
  std::span<const float> mean() const { return mean_; }      ///< of the pictures' unit vectors, (E)
  std::span<const float> second() const { return second_; }  ///< mean of their outer products, (E, E)
  std::span<const float> centroids() const { return centroids_; }
  std::span<const std::uint64_t> cluster_begin() const { return cluster_begin_; }  ///< clusters + 1, slots

 private:
  [[noreturn]] void refuse(std::string_view what) const;

  fs::path path_;
  std::unique_ptr<MappedFile> file_;
  const CodesHeader* header_ = nullptr;
  std::span<const std::int8_t> codes_;
  std::span<const float> scales_, errors_, mean_, second_, centroids_;
  std::span<const std::uint32_t> row_of_, file_begin_, files_;
  std::span<const std::uint64_t> vector_offsets_, picture_hashes_, line_begin_, cluster_begin_;
};

/// Writes codes.bin, atomically. `looked_at` can be set afterwards.
void write_codes(const fs::path& path, const StoredVectors& vectors, const CodesContent& content);
/// Replaces how many clusters are looked at, in place, before the index is committed.
void set_looked_at(const fs::path& path, std::int64_t clusters);

}  // namespace vicha
