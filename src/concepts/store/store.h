// Embedding stores: vectors of images (or texts) in one binary file, memory-mapped to read, append-only to write.
//
// A store belongs to one source (SourceWeights) and holds `vectors` rows of `width` numbers for each key: 1 for whole
// images, 1 + regions in region mode. Records are written in blocks with a checksum each; a store cut short by a kill
// loses its last, unfinished block and nothing else. The key is the image's name in the manifest; `content` (64-bit
// hash of the file's bytes; 0: not known) tells an image that has changed under its name.
//
// What is checked when: opening reads the header, the blocks' headers and keys, and all of the last block; `rows`
// checks a block's vectors when they are first read; `verify` checks everything. The layout is in store_format.h.
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

#include "concepts/source/provenance.h"
#include "concepts/store/feature_layout.h"

namespace vicha {

enum class StoreType {
  kFloat32,
  kFloat16,
  kInt8,  ///< -127 to 127, each vector times a scale of its own
};
/// "float32", "float16", "int8".
std::string_view to_string(StoreType type);

struct StoreShape {
  std::int64_t width = 0;
  std::int64_t vectors = 1;
  StoreType type = StoreType::kFloat16;
  std::optional<FeatureLayout> layout = {};  ///< of stores of features; of those its vectors() are `vectors`

  bool operator==(const StoreShape&) const = default;
};

/// What rounding to int8 cost: the cosine of a vector and of what is read back.
struct StoreLoss {
  std::int64_t vectors = 0;
  double sum = 0, worst = 1;

  double mean() const { return vectors > 0 ? sum / static_cast<double>(vectors) : 1; }
  void add(double cosine) {
    ++vectors;
    sum += cosine;
    worst = cosine < worst ? cosine : worst;
  }
};

class EmbeddingStore {
 public:
  /// Maps the file and reads its index. Throws DataError naming the file if it is no store, or of a later version, or
  /// damaged before its last block (naming the block). An unfinished last block is skipped (`lost_bytes()`).
  static EmbeddingStore open(const std::filesystem::path& path);
  EmbeddingStore(EmbeddingStore&&) noexcept;
  EmbeddingStore& operator=(EmbeddingStore&&) noexcept;
  ~EmbeddingStore();

  const SourceWeights& source() const;
  const StoreShape& shape() const;
  const std::filesystem::path& path() const;
  std::int64_t size() const;  ///< records, including those that a newer one has replaced
  std::int64_t blocks() const;
  std::int64_t lost_bytes() const;
  std::string_view key(std::int64_t record) const;
  std::uint64_t content(std::int64_t record) const;
  /// The newest record of a key.
  std::optional<std::int64_t> find(std::string_view key) const;
  /// The newest record of each key, in the order of the store.
  std::vector<std::int64_t> newest() const;

  /// (records, vectors, width) fp32, copied out of the map. Any number of threads. Throws DataError naming the block if
  /// one that is needed is damaged.
  at::Tensor rows(std::span<const std::int64_t> records) const;
  /// Vectors `first` to `first + count - 1` of one record into `out` [count, width]. Threads and errors as of `rows`.
  void read(std::int64_t record, std::int64_t first, std::int64_t count, float* out) const;
  /// All of a record as it lies in the map (store_format.h). Errors as of `rows`.
  std::span<const std::byte> stored(std::int64_t record) const;
  /// Reads every block and checks its sum; throws DataError naming the first bad one. A last block that was only cut
  /// short is no error, one that is there to its last byte but wrong is.
  void verify() const;

 private:
  struct Impl;
  explicit EmbeddingStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// One writer a file (a lock is held); many threads may call `add` and `content`. A block is written and synced when it
/// is full or, at the next `add`, ten seconds old: a kill loses no more than that.
class EmbeddingStoreWriter {
 public:
  /// Opens or begins `path`. An unfinished last block is cut off. Throws DataError if the file belongs to another
  /// source or has another shape (naming both), or is being written by somebody else.
  EmbeddingStoreWriter(const std::filesystem::path& path, const SourceWeights& source, const StoreShape& shape);
  ~EmbeddingStoreWriter();  ///< without `finish` what was not flushed is lost, as in a kill

  /// The content's hash that is stored for a key, to skip what is there.
  std::optional<std::uint64_t> content(std::string_view key) const;
  /// (n, vectors, width) or (n, width) float; keys and contents n each. A key that is there already gets a new record
  /// that replaces the old one. Rounds to fp16 as ATen does, to int8 half away from zero; what a store gives, it takes
  /// without a further loss. Without effect where it throws: DataError if a
  /// number is not finite (naming the key), Error if the disk is full (the file is whole up to its last block, and what
  /// waits is written by a later `add` or `flush` if there is space again).
  void add(std::span<const std::string> keys, std::span<const std::uint64_t> contents, const at::Tensor& rows);
  /// Writes the block that is being filled and syncs. Throws as `add`.
  void flush();
  void finish() { flush(); }
  std::int64_t size() const;
  /// Of what was added by this writer to a store of int8; no vectors otherwise.
  StoreLoss loss() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// For commands that take one embedding of each picture (kPooled) or caption (kTexts): throws DataError naming the
/// store if it holds other features. One without a layout may be either.
void require_embeddings(const EmbeddingStore& store, FeatureKind wanted);

/// Appends the newest records of all inputs to `out` (which may be there already; its own records stay). Where several
/// inputs hold a key, the last one counts. Repeated after a kill it goes on, and a second call adds nothing. Throws
/// DataError, before anything is written, if sources or shapes differ or an input is damaged.
void merge_stores(std::span<const std::filesystem::path> inputs, const std::filesystem::path& out);

/// Export, by the suffix, in the order of the store, newest records only, atomically; type and numbers stay as they
/// are (of int8 the numbers that it stands for, as float32). (n, width) where the store has one vector a record, else
/// (n, vectors, width).
///   .safetensors  tensor `embeddings`; metadata `keys` (JSON list), `contents` (JSON list, 16 hexadecimal digits
///   each),
///                 `source` (JSON) and, of features, `layout` (JSON)
///   .npy          and beside it NAME.keys.txt: a line a row, the key, a tab, its content in 16 hexadecimal digits
void export_store(const EmbeddingStore& store, const std::filesystem::path& out);
/// The reverse; appends to `out` if it is there. Arrays of 2 or 3 dimensions in float16, float32 or float64 (bfloat16
/// too in safetensors); contents may be missing. Throws DataError, before anything is written, naming file and row:
/// other shapes and types, numbers that are not finite, a key twice, keys that are not as many as rows, a file that
/// names another source.
void import_store(const std::filesystem::path& in, const std::filesystem::path& out, const SourceWeights& source,
                  StoreType type);
/// The source that an exported .safetensors file names, if it names one.
std::optional<SourceWeights> exported_source(const std::filesystem::path& file);

}  // namespace vicha
