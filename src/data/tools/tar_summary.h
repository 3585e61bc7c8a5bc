// What an unpacked archive's folder was made from, and whether the archive still is that.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "data/tools/tar_manifest.h"
#include "data/tools/tar_unpack.h"

namespace vicha {

/// A file's size and times, as one look has found them.
struct FileStamp {
  std::int64_t bytes = 0, inode = 0, modified_ns = 0, changed_ns = 0;
  std::int64_t seen_ns = 0;  ///< when the look was

  static FileStamp of(const std::filesystem::path& file);
  /// Whether the file surely is as it was at `earlier`. Nobody can set the time of change, but it ticks coarsely: a
  /// file that had just been written when it was looked at could have been written again.
  bool surely_as(const FileStamp& earlier) const;
};

struct TarSummary {
  FileStamp stamp = {};  ///< from before the archive was read
  UnpackedTar unpacked = {};

  /// Into the archive's folder, with the options that what lies there depends on.
  void write(const std::filesystem::path& folder, const UnpackOptions& options) const;
  /// Nothing if the folder was made by other options, or by an earlier program. Throws DataError if this command has
  /// not made it.
  static std::optional<TarSummary> read(const std::filesystem::path& folder, const UnpackOptions& options);
};

}  // namespace vicha
