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
/// Field `caption`, a string or a list of strings; may be an empty list. Throws DataError as above.
std::vector<std::string> captions_of(const nlohmann::ordered_json& record, const RecordReader& reader);

}  // namespace vicha
