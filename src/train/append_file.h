// A file that only grows: what is written is whole lines or records, each by one call.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "base/files.h"

namespace vicha {

class AppendFile {
 public:
  /// Opens or creates the file and the folders above it. Throws Error naming the path, as every member does, DataError
  /// as GrowingFile does.
  explicit AppendFile(std::filesystem::path path);

  void write(std::string_view data);
  /// Returns when the data has reached the disk.
  void sync();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::unique_ptr<GrowingFile> file_;
};

}  // namespace vicha
