// What kind of value a manifest's JSON holds, in words for messages.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace vicha {

/// "null", "true or false", "a number" (an integer), "a real number", "a string", "a list" or "an object".
template <class Json>
std::string_view json_kind(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "true or false";
  if (value.is_number_float()) return "a real number";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  return value.is_array() ? "a list" : "an object";
}

}  // namespace vicha
