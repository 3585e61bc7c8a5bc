// Whole numbers read from JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace vicha {

/// The whole number under `key`. `get<T>()` casts what stands there, and a cast of 1e300 to an integer is undefined:
/// throws Json::out_of_range, which names the key, unless it is an integer that T holds. A missing key is told of by
/// Json::exception too.
template <class T, class Json>
T whole_number(const Json& json, const std::string& key) {
  const Json& value = json.at(key);
  const bool fits =
      value.is_number_unsigned()
          ? std::in_range<T>(value.template get<typename Json::number_unsigned_t>())
          : value.is_number_integer() && std::in_range<T>(value.template get<typename Json::number_integer_t>());
  if (!fits) throw Json::out_of_range::create(401, "\"" + key + "\" is not a whole number of the allowed range", &json);
  return value.template get<T>();
}

}  // namespace vicha
