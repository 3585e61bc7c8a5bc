// Zip archives as PyTorch writes them: entries stored without compression, zip64 where needed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tensors/name_index.h"

namespace vicha {

/// The CRC-32 of zip files, continued from `crc`.
std::uint32_t crc32(std::span<const char> data, std::uint32_t crc = 0);

/// Opens an archive and checks its directory: entries lie inside the file, do not overlap and have different names.
/// Every error is a DataError naming the file.
class ZipReader {
 public:
  struct Entry {
    std::string_view name;                          ///< as long as the reader lives
    std::uint64_t size = 0, header = 0, limit = 0;  ///< starts at `header`, ends at or before `limit`
    std::uint32_t crc = 0;
    bool stored = false;
  };

  explicit ZipReader(const std::filesystem::path& path);
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  const std::vector<Entry>& entries() const { return entries_; }
  /// nullptr if there is none of that name.
  const Entry* find(std::string_view name) const;
  /// Reads all of the entry; `into` has exactly its size. Refuses compressed entries and wrong checksums.
  void read(const Entry& entry, std::span<char> into);
  std::string read(const Entry& entry);

 private:
  void find_directory(std::uint64_t& begin, std::uint64_t& size, std::uint64_t& count);
  void parse_directory(std::uint64_t count);
  void check_overlaps(std::uint64_t directory_begin);
  void read_at(std::uint64_t offset, std::span<char> into);
  std::string read_at(std::uint64_t offset, std::uint64_t size);
  std::string_view small_at(std::uint64_t offset, std::size_t size);
  [[noreturn]] void fail(const std::string& what) const;

  std::string where_;
  std::ifstream file_;
  std::uint64_t file_size_ = 0, window_begin_ = 0;
  std::string window_;  ///< what was read ahead for small entries, which mostly lie in the order of their use
  std::string directory_;
  std::vector<Entry> entries_;
  NameIndex index_;
  bool has_checksums_ = false;  ///< PyTorch can be told to leave them out; then all are zero
};

/// Writes an archive piece by piece to `out`; each entry's data starts at a multiple of 64 bytes, as PyTorch's do.
class ZipWriter {
 public:
  using Out = std::function<void(std::string_view)>;
  explicit ZipWriter(Out out) : out_(std::move(out)) {}

  void add(const std::string& name, std::span<const char> data);
  /// Writes the directory; the archive is complete after it.
  void finish();

 private:
  void write(std::string_view data);

  Out out_;
  std::uint64_t at_ = 0;
  std::string directory_;
  std::uint64_t count_ = 0;
};

}  // namespace vicha
