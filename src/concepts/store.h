// Embedding stores: vectors of pictures (or texts) in one binary file, memory-mapped to read, append-only to write.
//
// A store belongs to one source (SourceWeights) and holds `vectors` rows of `width` numbers for each key: 1 for whole
// pictures, 1 + regions in region mode. Records are written in blocks with a checksum each; a store cut short by a kill
// loses its last, unfinished block and nothing else. The key is the picture's name in the manifest; `content` (64-bit
// hash of the file's bytes) tells a picture that has changed under its name.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/identity.h"

namespace vicha {

enum class StoreType { kFloat32, kFloat16 };

struct StoreShape {
  std::int64_t width = 0;
  std::int64_t vectors = 1;
  StoreType type = StoreType::kFloat16;
};

class EmbeddingStore {
 public:
  /// Maps the file and reads its index. Throws DataError naming the file if it is no store, or of a later version, or
  /// damaged before its last block. An unfinished last block is passed over (`lost_bytes()`).
  static EmbeddingStore open(const std::filesystem::path& path);
  EmbeddingStore(EmbeddingStore&&) noexcept;
  EmbeddingStore& operator=(EmbeddingStore&&) noexcept;
  ~EmbeddingStore();

  const SourceWeights& source() const;
  const StoreShape& shape() const;
  const std::filesystem::path& path() const;
  std::int64_t size() const;
  std::int64_t lost_bytes() const;
  std::string_view key(std::int64_t record) const;
  std::uint64_t content(std::int64_t record) const;
  /// The newest record of a key.
  std::optional<std::int64_t> find(std::string_view key) const;

  /// (records, vectors, width) fp32, copied out of the map.
  at::Tensor rows(std::span<const std::int64_t> records) const;
  /// Reads every block and checks its sum; throws DataError naming the first bad one.
  void verify() const;

 private:
  struct Impl;
  explicit EmbeddingStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// One writer a file (a lock is held); many threads may call `add`.
class EmbeddingStoreWriter {
 public:
  /// Opens or begins `path`. An unfinished last block is cut off. Throws DataError if the file belongs to another
  /// source or has another shape (naming both), or is being written by somebody else.
  EmbeddingStoreWriter(const std::filesystem::path& path, const SourceWeights& source, const StoreShape& shape);
  ~EmbeddingStoreWriter();  ///< without `finish` what was not flushed is lost, as in a kill

  /// The content's hash that is stored for a key, to skip what is there.
  std::optional<std::uint64_t> content(std::string_view key) const;
  /// (n, vectors, width) or (n, width) float; keys and contents n each. A key that is there already gets a new record
  /// that takes the place of the old one.
  void add(std::span<const std::string> keys, std::span<const std::uint64_t> contents, const at::Tensor& rows);
  /// Writes the block that is being filled and syncs.
  void flush();
  void finish() { flush(); }
  std::int64_t size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Export: safetensors (`embeddings`, with keys in the metadata) or NumPy (`.npy`, and the keys in `<name>.keys.txt`),
/// by the suffix; in the order of the store, newest records only. Import is the reverse.
void export_store(const EmbeddingStore& store, const std::filesystem::path& out);
void import_store(const std::filesystem::path& in, const std::filesystem::path& out, const SourceWeights& source,
                  StoreType type);

}  // namespace vicha
