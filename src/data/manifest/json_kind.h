// What kind of value a manifest's JSON holds, in words for messages.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

namespace vicha {

/// What the parser can hold as a float alone.
inline constexpr std::string_view kLargeInteger = "an integer of more than 64 bits";

/// "null", "true or false", "a number" (an integer), kLargeInteger, "a real number", "a string", "a list" or "an
/// object".
template <class Json>
std::string_view json_kind(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "true or false";
  if (value.is_number_float()) {
    const auto number = value.template get<double>();  // as "1e30", too, which nobody writes for an id
    return std::abs(number) >= 0x1p63 && std::isfinite(number) ? kLargeInteger : "a real number";
  }
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  return value.is_array() ? "a list" : "an object";
}

}  // namespace vicha
