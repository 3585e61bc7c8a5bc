// Images inlined into the report's page.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.h"
#include "report/html.h"

namespace vicha {

/// Small copies of image files as <img> elements; each file is read once.
class Thumbnails {
 public:
  /// Relative names that are not found from the working folder are looked for in `folders`, in that order.
  explicit Thumbnails(std::vector<std::filesystem::path> folders) : folders_(std::move(folders)) {}

  /// The image, or a grey box with its name if it is missing or cannot be read. `alt` says what is seen.
  void draw(Html& html, std::string_view path, std::string_view alt);

 private:
  struct Thumbnail {
    std::string uri;      ///< "" if there is none
    std::string problem;  ///< then
  };
  const Thumbnail& find(std::string_view path);

  std::vector<std::filesystem::path> folders_;
  std::map<std::string, Thumbnail, std::less<>> known_;
};

/// The image as data URI in the size it has: lossless where it is small, else WebP.
std::string image_uri(const Image& image);

}  // namespace vicha
