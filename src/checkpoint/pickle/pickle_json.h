// A pickle's tree as JSON, for the metadata of a safetensors file. Plain JSON where that is unambiguous (texts, whole
// numbers, lists, dicts with text keys); otherwise an object whose first key starts with '$' and says what it is.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "checkpoint/pickle/pickle_value.h"

namespace vicha {

using TreeJson = nlohmann::ordered_json;

/// Names a tensor and describes its layout; `path` as in `flatten_tensors`. The result's first key is "$tensor".
using TensorToJson = std::function<TreeJson(const PickleTensor& tensor, const std::string& path)>;
TreeJson pickle_to_json(const PickleValue& root, const TensorToJson& tensor);

/// Throws DataError naming `where` if the JSON is not what `pickle_to_json` makes.
using TensorFromJson = std::function<PickleTensor(const TreeJson& description)>;
PickleValue pickle_from_json(const TreeJson& json, const TensorFromJson& tensor, const std::string& where);

}  // namespace vicha
