// From a manifest's name of an image to its file.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "data/manifest/image_names.h"

namespace vicha {

/// Whether it can be the name of a file: not empty, no zero byte.
bool is_file_name(std::string_view name);

/// SNLI-VE names pictures without ".jpg": the file as it is named, or where that is not there and has no ending, the
/// one with that ending, if it is there.
std::filesystem::path with_jpg(const std::filesystem::path& file);

/// Files of the images that a manifest names. `strip_parts` leading parts of every name, '/' between them, are
/// dropped; what is left starts in `image_root`, or where that is empty in the manifest's own folder.
class ImagePaths {
 public:
  ImagePaths(const std::filesystem::path& manifest, const std::filesystem::path& image_root, std::int64_t strip_parts);

  /// None if the name has too few parts, or stands for no file of this machine (data/manifest/image_names.h). Names
  /// without an ending may be taken as `with_jpg` does; the log says so once.
  std::optional<std::string> find(std::string_view name) const;
  /// Throws DataError then, with `where()` ("train.json, record 12").
  template <class Where>
  std::string path(std::string_view name, Where&& where) const {
    std::optional<std::string> found = find(name);
    if (!found) fail(name, where());
    return *std::move(found);
  }

  /// The same for those who look at each file and expect some not to be there: of names that stand for no file of this
  /// machine, a path that does not exist.
  template <class Where>
  std::string path_or_none(std::string_view name, Where&& where) const {
    const std::optional<std::string_view> rest = stripped(name);
    if (!rest) fail(name, where());
    const std::optional<std::string> found = find(name);
    return found ? *found : (root_ / *rest).string();
  }

  /// What is wrong with a name for which `find` has none, and what to do.
  NameFault fault(std::string_view name) const;

 private:
  [[noreturn]] void fail(std::string_view name, const std::string& where) const;
  /// Without the leading parts; none if it has too few.
  std::optional<std::string_view> stripped(std::string_view name) const;

  std::filesystem::path root_;
  std::int64_t strip_parts_;
  mutable std::atomic<bool> said_ = false;  ///< that names lack their ending
};

}  // namespace vicha
