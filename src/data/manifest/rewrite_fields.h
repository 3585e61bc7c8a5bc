// What the tools that rewrite manifests read of a record, and where its picture lies.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest/rewrite_reader.h"

namespace vicha {

/// Field `image`. Throws DataError naming the record (which `reader` read last) if there is none or it is no file name.
std::string image_of(const nlohmann::ordered_json& record, const RecordReader& reader);
/// Field `caption`, a string or a list of strings; may be an empty list. Throws DataError as above.
std::vector<std::string> captions_of(const nlohmann::ordered_json& record, const RecordReader& reader);

/// Files of the pictures that a manifest names, by the rules of ManifestOptions.
class PicturePaths {
 public:
  PicturePaths(const std::filesystem::path& manifest, const std::filesystem::path& image_root,
               std::int64_t strip_parts);
  /// Throws DataError naming the record if the name has too few parts.
  std::string path(std::string_view image, const RecordReader& reader) const;

 private:
  std::filesystem::path root_;
  std::int64_t strip_parts_;
};

}  // namespace vicha
