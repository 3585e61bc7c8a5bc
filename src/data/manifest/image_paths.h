// From a manifest's name of an image to its file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace vicha {

/// Whether it can be the name of a file: not empty, no zero byte.
bool is_file_name(std::string_view name);

/// Files of the images that a manifest names. `strip_parts` leading parts of every name, '/' between them, are
/// dropped; what is left starts in `image_root`, or where that is empty in the manifest's own folder.
class ImagePaths {
 public:
  ImagePaths(const std::filesystem::path& manifest, const std::filesystem::path& image_root, std::int64_t strip_parts);

  /// None if the name has too few parts.
  std::optional<std::string> find(std::string_view name) const;
  /// Throws DataError then, with `where()` ("train.json, record 12").
  template <class Where>
  std::string path(std::string_view name, Where&& where) const {
    std::optional<std::string> found = find(name);
    if (!found) fail(name, where());
    return *std::move(found);
  }

  /// What is wrong with a name that has too few parts, and what to do.
  std::string too_short(std::string_view name) const;
  static constexpr const char* kRemedy = "Make data.strip_parts (--strip-parts) smaller";

 private:
  [[noreturn]] void fail(std::string_view name, const std::string& where) const;

  std::filesystem::path root_;
  std::int64_t strip_parts_;
};

}  // namespace vicha
