#include "data/manifest/image_paths.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "base/printable.h"

namespace vicha {

bool is_file_name(std::string_view name) { return !name.empty() && name.find('\0') == std::string_view::npos; }

std::filesystem::path with_jpg(const std::filesystem::path& file) {
  std::error_code none;
  if (file.has_extension() || !file.has_filename() || std::filesystem::exists(file, none)) return file;
  std::filesystem::path jpg = file;
  jpg += ".jpg";
  return std::filesystem::exists(jpg, none) ? jpg : file;
}

ImagePaths::ImagePaths(const std::filesystem::path& manifest, const std::filesystem::path& image_root,
                       std::int64_t strip_parts)
    : root_(image_root.empty() ? manifest.parent_path() : image_root), strip_parts_(strip_parts) {}

std::optional<std::string_view> ImagePaths::stripped(std::string_view name) const {
  for (std::int64_t i = 0; i < strip_parts_; ++i) {
    const std::size_t slash = name.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    name.remove_prefix(slash + 1);
  }
  return name;
}

std::optional<std::string> ImagePaths::find(std::string_view name) const {
  const std::optional<std::string_view> rest = stripped(name);
  if (!rest) return std::nullopt;
  const std::filesystem::path path = (root_ / *rest).lexically_normal();
  if (foreign_name(*rest, path)) return std::nullopt;
  const std::filesystem::path file = with_jpg(path);
  if (file != path && !said_.exchange(true)) {
    log::info("pictures are named without their ending: {} is {}", printable(name), file.string());
  }
  return file.string();
}

NameFault ImagePaths::fault(std::string_view name) const {
  if (const std::optional<std::string_view> rest = stripped(name)) {
    return foreign_name(*rest, (root_ / *rest).lexically_normal()).value_or(NameFault{"is not a file name", ""});
  }
  return {fmt::format("has no more than {} parts between slashes: {}", strip_parts_, quoted_name(name)),
          "Make data.strip_parts (--strip-parts) smaller"};
}

void ImagePaths::fail(std::string_view name, const std::string& where) const {
  const NameFault wrong = fault(name);
  throw DataError(where, "field \"image\" " + wrong.what, wrong.remedy);
}

}  // namespace vicha
