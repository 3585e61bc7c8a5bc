// Which files an index is of: those of a folder, walked in a sorted order, or those that a manifest names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vicha {

struct ListedPicture {
  std::string name;  ///< relative to the list's root where it lies below it, else the whole path
  std::filesystem::path path;
  std::uint64_t size = 0;     ///< bytes
  std::int64_t modified = 0;  ///< nanoseconds since 1970
};
/// A file, or a folder, that should be in the index and is not.
struct SkippedPicture {
  std::string name, cause;
};

struct PictureList {
  std::filesystem::path source, root;  ///< absolute
  bool manifest = false;
  std::vector<ListedPicture> pictures;  ///< by name
  std::vector<SkippedPicture> skipped;
  std::int64_t hidden = 0;  ///< files and folders whose names begin with a dot
  std::int64_t others = 0;  ///< files that are no pictures, by their names and by how they begin
};

struct ListOptions {
  std::filesystem::path image_root = {};  ///< of a manifest's names; empty: its folder
  std::int64_t strip_parts = 0;
  std::filesystem::path leave_out = {};  ///< a folder that is not walked: the index itself
};

/// Links are followed, to each folder once: what lies in the folder itself comes first, so a link into it adds nothing.
/// A folder's file counts as a picture if its suffix is that of one or if it begins as one; so a damaged picture is
/// named when it is read, and a text is not. Throws DataError if `source` is neither a folder nor a manifest, or names
/// no picture.
PictureList list_pictures(const std::filesystem::path& source, const ListOptions& options);

/// What list_pictures asks first, for whoever has long work before it. Throws DataError if nothing is there.
void require_picture_source(const std::filesystem::path& source);

/// As it should be shown to somebody in this working folder: relative if it lies below.
std::string shown_path(const std::filesystem::path& path);

}  // namespace vicha
