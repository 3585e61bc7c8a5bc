// Drawing the demonstration set's images, and keeping those that an earlier run has finished.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "demo/demo_sources.h"

namespace vicha::demo {

struct ImageTask {
  std::string name;  ///< path below images/, "emoji/google/1f600.png"
  Drawing drawing;
  int side = 0;        ///< of the square result, pixels
  int bottleneck = 0;  ///< longest side that the drawing is brought down to before, pixels
};

/// The folder images/ of a set, for a given list of images. A file in it says which list (names, sources and their
/// sizes, ways of drawing) its images belong to; images of another list are never kept.
class ImageFolder {
 public:
  ImageFolder(std::filesystem::path folder, std::vector<ImageTask> tasks);

  /// Whether the folder's images, as far as they are there, are those of this list.
  bool is_current() const;

  struct Result {
    std::int64_t drawn = 0, kept = 0;
  };
  /// Afterwards the folder holds exactly the images of the list.
  Result fill(int threads);

 private:
  void start_anew();
  void remove_strays();
  std::filesystem::path marker() const { return folder_ / "set.txt"; }

  std::filesystem::path folder_;
  std::vector<ImageTask> tasks_;
  std::string fingerprint_;
};

}  // namespace vicha::demo
