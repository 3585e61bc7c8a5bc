// What the tools that rewrite manifests read of a record.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/manifest/record_reader.h"

namespace vicha {

/// Field `image`. Throws DataError naming `where()` if there is none or it is no file name.
std::string image_of(const nlohmann::ordered_json& record, const std::function<std::string()>& where);
/// The same of the record that `reader` read last.
std::string image_of(const nlohmann::ordered_json& record, const RecordReader& reader);
/// A picture of a record. What belongs to it stands in the fields `kwords`, `kword_scores` and so on with `suffix`
/// behind their names.
struct NamedPicture {
  std::string image, suffix;
};
/// All pictures of a record, in order: `image`, then `image2` and so on where there are such (suffixes "", "2", …); or
/// those of its list `images` (data/manifest/picture_lists.h; suffixes "1", "2", …). Throws as image_of.
std::vector<NamedPicture> pictures_of(const nlohmann::ordered_json& record, const std::function<std::string()>& where);
/// Gives the picture at that place of pictures_of another name.
void rename_picture(nlohmann::ordered_json& record, std::size_t place, const std::string& name);
/// Field `caption`, a string or a list of strings; may be an empty list. Throws DataError as above.
std::vector<std::string> captions_of(const nlohmann::ordered_json& record, const RecordReader& reader);

}  // namespace vicha
