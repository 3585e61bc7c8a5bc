// A file that only grows: what is written is whole lines or records, each by one call.
#pragma once

#include <filesystem>
#include <string_view>

namespace vicha {

class AppendFile {
 public:
  /// Opens or creates the file and the folders above it. Throws Error naming the path, as every member does.
  explicit AppendFile(std::filesystem::path path);
  ~AppendFile();
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&&) = delete;

  void write(std::string_view data);
  /// Returns when the data has reached the disk.
  void sync();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace vicha
