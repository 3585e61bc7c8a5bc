// The folder images/ of a set: filled picture by picture, those that an earlier run has finished are kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace vicha::demo {

/// What a folder of pictures is to hold.
struct FolderContent {
  std::vector<std::string> names;    ///< of PNG or JPEG files, paths below the folder: "emoji/google/1f600.png"
  std::vector<std::string> folders;  ///< those below it that belong to the set: whatever else is in them is removed
  std::string marker;                ///< name of the file in it that says which list its pictures belong to
  std::string fingerprint;           ///< of the list: two lists whose pictures differ must not share one
};

/// A folder of pictures for a given list of them. Pictures of another list are never kept.
class ImageFolder {
 public:
  ImageFolder(std::filesystem::path folder, FolderContent content);

  /// Whether the folder's pictures, as far as they are there, are those of this list.
  bool is_current() const;

  struct Result {
    std::int64_t drawn = 0, kept = 0;
  };
  /// Afterwards the folder holds exactly the pictures of the list. `encode(i)` makes the file of the i-th name; it is
  /// called on `threads` threads at once, for those that are missing.
  Result fill(int threads, const std::function<std::string(std::size_t)>& encode);

 private:
  void start_anew();
  void remove_strays();
  std::filesystem::path marker() const { return folder_ / content_.marker; }

  std::filesystem::path folder_;
  FolderContent content_;
};

}  // namespace vicha::demo
