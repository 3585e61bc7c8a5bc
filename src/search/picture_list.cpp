#include "search/picture_list.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "concepts/embed/embed.h"
#include "image/decode.h"

namespace vicha {
namespace {

constexpr std::size_t kBeginning = 64;  ///< bytes by which a format is known

bool has_picture_suffix(const fs::path& path) {
  static constexpr std::string_view kSuffixes[] = {".jpg", ".jpeg", ".jpe",  ".jfif", ".png",  ".webp", ".gif",
                                                   ".tif", ".tiff", ".avif", ".heic", ".heif", ".bmp",  ".ppm",
                                                   ".pgm", ".pbm",  ".pnm",  ".jxl",  ".jp2"};
  std::string suffix = path.extension().string();
  for (char& c : suffix) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::find(std::begin(kSuffixes), std::end(kSuffixes), suffix) != std::end(kSuffixes);
}

bool begins_as_picture(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, kBeginning> bytes{};
  file.read(bytes.data(), bytes.size());
  return is_known_format(
      {reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<std::size_t>(file.gcount())});
}

std::string name_below(const fs::path& path, const fs::path& root) {
  const fs::path relative = path.lexically_relative(root);
  return relative.empty() || *relative.begin() == ".." ? path.string() : relative.string();
}

class Walk {
 public:
  Walk(PictureList& list, const fs::path& leave_out) : list_(list) {
    struct stat info {};
    if (!leave_out.empty() && ::stat(leave_out.c_str(), &info) == 0) left_out_ = {info.st_dev, info.st_ino};
  }

  void run() {
    folder(list_.root);
    // Folders that are links come last: what they lead to may have been walked under its own name.
    for (std::size_t i = 0; i < links_.size(); ++i) folder(fs::path(links_[i]));
    std::sort(list_.pictures.begin(), list_.pictures.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
  }

 private:
  using Identity = std::pair<dev_t, ino_t>;

  void skip(const fs::path& path, std::string cause) {
    list_.skipped.push_back({name_below(path, list_.root), std::move(cause)});
  }

  void folder(const fs::path& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return skip(path, std::strerror(errno));
    const Identity identity{info.st_dev, info.st_ino};
    if (identity == left_out_ || !walked_.insert(identity).second) return;
    std::error_code failed;
    std::vector<fs::directory_entry> entries;
    for (fs::directory_iterator it(path, failed), end; !failed && it != end; it.increment(failed))
      entries.push_back(*it);
    if (failed) skip(path, "the folder cannot be read: " + failed.message());
    std::sort(entries.begin(), entries.end());
    std::vector<fs::path> folders;
    for (const fs::directory_entry& entry : entries) {
      if (entry.path().filename().string().starts_with(".")) {
        ++list_.hidden;
        continue;
      }
      std::error_code ignored;
      if (!entry.is_directory(ignored)) {
        file(entry.path());
      } else if (entry.is_symlink(ignored)) {
        links_.push_back(entry.path());
      } else {
        folders.push_back(entry.path());
      }
    }
    for (const fs::path& inner : folders) folder(inner);
  }

  void file(const fs::path& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
      if (!has_picture_suffix(path)) {
        ++list_.others;
      } else {
        skip(path, errno == ENOENT ? "the link leads nowhere" : std::strerror(errno));
      }
      return;
    }
    if (!S_ISREG(info.st_mode) || !(has_picture_suffix(path) || begins_as_picture(path))) {
      ++list_.others;
      return;
    }
    list_.pictures.push_back({name_below(path, list_.root), path, static_cast<std::uint64_t>(info.st_size),
                              info.st_mtim.tv_sec * std::int64_t{1'000'000'000} + info.st_mtim.tv_nsec});
  }

  PictureList& list_;
  std::optional<Identity> left_out_;
  std::set<Identity> walked_;
  std::vector<fs::path> links_;
};

void list_manifest(PictureList& list, const ListOptions& options) {
  const ImageList images =
      list_images({list.source}, {.image_root = options.image_root, .strip_parts = options.strip_parts});
  std::set<std::string> seen;
  for (std::int64_t i = 0; i < images.size(); ++i) {
    const fs::path path = fs::absolute(images.path(i)).lexically_normal();
    const std::string name = name_below(path, list.root);
    if (!seen.insert(name).second) continue;
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
      list.skipped.push_back({name, errno == ENOENT ? "does not exist" : std::strerror(errno)});
    } else if (!S_ISREG(info.st_mode)) {
      list.skipped.push_back({name, "is not a regular file"});
    } else {
      list.pictures.push_back({name, path, static_cast<std::uint64_t>(info.st_size),
                               info.st_mtim.tv_sec * std::int64_t{1'000'000'000} + info.st_mtim.tv_nsec});
    }
  }
  std::sort(list.pictures.begin(), list.pictures.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

}  // namespace

void require_picture_source(const fs::path& source) {
  std::error_code failed;
  if (fs::exists(source, failed)) return;
  throw DataError(source.string(), "does not exist", "Give a folder with pictures, or a manifest");
}

PictureList list_pictures(const fs::path& source, const ListOptions& options) {
  PictureList list;
  // A link is kept as it is named: it may lead elsewhere one day.
  fs::path named = fs::absolute(source).lexically_normal();
  if (!named.has_filename()) named = named.parent_path();
  list.source = named;
  require_picture_source(source);
  std::error_code failed;
  if (fs::is_directory(source, failed)) {
    list.root = list.source;
    Walk(list, options.leave_out).run();
  } else {
    require_regular_file(source);
    if (begins_as_picture(source)) {
      throw DataError(source.string(), "is a picture", "Give the folder that it lies in, or a manifest");
    }
    list.manifest = true;
    list.root =
        options.image_root.empty() ? list.source.parent_path() : fs::absolute(options.image_root).lexically_normal();
    list_manifest(list, options);
  }
  const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
  std::sort(list.skipped.begin(), list.skipped.end(), by_name);
  if (list.pictures.empty()) {
    throw DataError(source.string(),
                    list.skipped.empty()
                        ? fmt::format("has no pictures ({} other files, {} hidden)", list.others, list.hidden)
                        : fmt::format("has no picture that can be read; the first, {}: {}", list.skipped.front().name,
                                      list.skipped.front().cause),
                    "Formats are JPEG, PNG, WebP, GIF, TIFF, AVIF, HEIC, BMP and PPM");
  }
  return list;
}

std::string shown_path(const fs::path& path) {
  std::error_code failed;
  const fs::path here = fs::current_path(failed);
  return failed ? path.string() : name_below(path, here);
}

}  // namespace vicha
