// What an earlier `vicha index` left in a folder: vectors that need not be computed again, and which files they were
// of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "concepts/store/store.h"
#include "search/index_files.h"

namespace vicha {

class EarlierIndex {
 public:
  EarlierIndex() = default;
  /// Nothing is an input of the command (base/file_guard.h). Where the earlier one was killed while it replaced its
  /// parts, its vectors are there and its list of files is none. What is missing or damaged of it is left out and
  /// warned of. Throws DataError if it is of another model, naming both, or of a later version.
  EarlierIndex(const IndexPaths& paths, const SourceWeights& weights);

  bool whole() const { return description_.has_value(); }
  const std::optional<IndexDescription>& description() const { return description_; }
  const std::vector<IndexedFile>& files() const { return files_; }
  const IndexedFile* find(std::string_view name) const;
  bool has(std::uint64_t content) const;
  /// Of a content whose vector is whole.
  std::optional<std::int64_t> record_of(std::uint64_t content) const;
  bool damaged() const { return damaged_; }
  void note(const fs::path& part, std::string_view what);  ///< that it is made anew, and why
  const EmbeddingStore* vectors() const { return vectors_ ? &*vectors_ : nullptr; }

 private:
  std::optional<IndexDescription> description_;
  std::vector<IndexedFile> files_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
  std::optional<EmbeddingStore> vectors_;
  std::vector<bool> sound_;  // of its records
  bool damaged_ = false;
};

/// Throws UsageError unless the folder is empty, not there, or one that `vicha index` made.
void require_index_folder(const IndexPaths& paths);

}  // namespace vicha
