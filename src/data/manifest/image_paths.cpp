#include "data/manifest/image_paths.h"

#include <fmt/format.h>

#include "base/error.h"

namespace vicha {

bool is_file_name(std::string_view name) { return !name.empty() && name.find('\0') == std::string_view::npos; }

ImagePaths::ImagePaths(const std::filesystem::path& manifest, const std::filesystem::path& image_root,
                       std::int64_t strip_parts)
    : root_(image_root.empty() ? manifest.parent_path() : image_root), strip_parts_(strip_parts) {}

std::optional<std::string> ImagePaths::find(std::string_view name) const {
  for (std::int64_t i = 0; i < strip_parts_; ++i) {
    const std::size_t slash = name.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    name.remove_prefix(slash + 1);
  }
  return (root_ / name).lexically_normal().string();
}

std::string ImagePaths::too_short(std::string_view name) const {
  return fmt::format("\"{}\" has no more than {} parts between slashes", name, strip_parts_);
}

void ImagePaths::fail(std::string_view name, const std::string& where) const {
  throw DataError(where, too_short(name), kRemedy);
}

}  // namespace vicha
