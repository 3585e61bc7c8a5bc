// Drawing the demonstration set's pictures, and keeping those that an earlier run has finished.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "demo/demo_sources.h"

namespace vicha::demo {

struct PictureTask {
  std::string name;  ///< path below images/, "emoji/google/1f600.png"
  Drawing drawing;
  int side = 0;        ///< of the square result, pixels
  int bottleneck = 0;  ///< longest side that the drawing is brought down to before, pixels
};

/// The folder images/ of a set, for a given list of pictures. A file in it says which list (names, sources and their
/// sizes, ways of drawing) its pictures belong to; pictures of another list are never kept.
class PictureFolder {
 public:
  PictureFolder(std::filesystem::path folder, std::vector<PictureTask> tasks);

  /// Whether the folder's pictures, as far as they are there, are those of this list.
  bool is_current() const;

  struct Result {
    std::int64_t drawn = 0, kept = 0;
  };
  /// Afterwards the folder holds exactly the pictures of the list.
  Result fill(int threads);

 private:
  void start_anew();
  void remove_strays();
  std::filesystem::path marker() const { return folder_ / "set.txt"; }

  std::filesystem::path folder_;
  std::vector<PictureTask> tasks_;
  std::string fingerprint_;
};

}  // namespace vicha::demo
