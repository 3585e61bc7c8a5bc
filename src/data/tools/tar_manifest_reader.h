// Samples of a tar archive as WebDataset and img2dataset write them: members that stand next to each other and share
// their name up to the first dot ("000000012.jpg", "000000012.txt", "000000012.json") are one sample. Streamed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace vicha {

struct TarSample {
  std::string key;                           ///< "000000012", with folders in front if there are: "a/000000012"
  std::map<std::string, std::string> parts;  ///< content by what follows the first dot, lower case: "jpg", "txt"
};

struct TarLimits {
  std::int64_t image_bytes = std::int64_t{256} << 20;
  std::int64_t text_bytes = std::int64_t{4} << 20;
};

/// Whether a part of this name is an image ("jpg", "png", …).
bool is_image_part(std::string_view part);

class TarReader {
 public:
  /// `.tar`, also compressed by gzip or zstd. Throws DataError if it cannot be opened.
  TarReader(const std::filesystem::path& tar, const TarLimits& limits);
  ~TarReader();

  /// False at the end. Images, `txt` and `json` are read, other members skipped. Members that are no regular
  /// files, whose names are absolute, lead out of the folder or hold odd characters, that are too large or come twice
  /// are refused: counted, nothing of them is read. Throws DataError where the archive is damaged or cut short.
  bool next(TarSample& sample);
  std::int64_t refused() const;
  const std::string& first_refused() const;  ///< "../../x.jpg: the name leads out of the folder"

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vicha
