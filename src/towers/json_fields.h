// Fields of small JSON files that come with weights. Used inside this room only.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/error.h"
#include "base/files.h"
#include "base/json_depth.h"
#include "base/settings_json.h"

namespace vicha::towers {

using Json = nlohmann::json;

/// Discarded if the text is no JSON, or nests deeper than any settings do: values are copied and shown by recursion.
inline Json parse_settings(std::string_view text) {
  return nests_deeper(text) ? Json(Json::value_t::discarded) : Json::parse(text, nullptr, false);
}

/// Throws DataError naming `where` if the text is no JSON object (base/settings_json.h).
inline Json parse_object(std::string_view text, std::string_view where) { return settings_object(text, where); }

/// The file beside weights: NAME.SUFFIX (NAME without one ending or more) or SUFFIX in the same folder; of a folder,
/// SUFFIX in it. Empty: there is none.
inline fs::path file_beside(const fs::path& weights, const std::string& suffix) {
  if (fs::is_directory(weights)) return fs::is_regular_file(weights / suffix) ? weights / suffix : fs::path();
  const fs::path around = weights.parent_path();
  for (fs::path stem = weights.stem(); !stem.empty(); stem = stem.stem()) {
    const fs::path own = around / (stem.string() + "." + suffix);
    if (fs::is_regular_file(own)) return own;
    if (stem == stem.stem()) break;
  }
  return fs::is_regular_file(around / suffix) ? around / suffix : fs::path();
}

/// Small by nature: what is larger is something else.
inline std::string read_small(const fs::path& file) { return read_file(file, 4 << 20); }

class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  bool has(const char* key) const { return find(key) != nullptr; }
  const Json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  template <class T>
  std::optional<T> get(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    bool fits = value->is_string();
    if constexpr (std::is_same_v<T, bool>) {
      fits = value->is_boolean();
    } else if constexpr (std::is_integral_v<T>) {
      fits = value->is_number_integer();
    } else if constexpr (std::is_floating_point_v<T>) {
      fits = value->is_number();
    }
    if (!fits) {
      throw DataError(where_, fmt::format("'{}' is {}, a value of the wrong kind", key, shown(*value)));
    }
    return value->get<T>();
  }
  template <class T>
  T get_or(const char* key, T otherwise) const {
    return get<T>(key).value_or(otherwise);
  }
  /// A size that the weights' shapes have told already.
  void expect(const char* key, std::int64_t told) const {
    const auto said = get<std::int64_t>(key);
    if (said && *said != told) {
      throw DataError(where_, fmt::format("'{}' is {}, but the weights' shapes say {}", key, *said, told),
                      "The configuration belongs to other weights");
    }
  }
  [[noreturn]] void refuse(const char* key, std::string_view wanted) const {
    const Json* value = find(key);
    throw DataError(where_, fmt::format("'{}' is {}: {}", key, value ? shown(*value) : "missing", wanted));
  }
  const std::string& where() const { return where_; }

  static std::string shown(const Json& value) {
    std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return text.size() > 80 ? text.substr(0, 77) + "…" : text;
  }

 private:
  const Json& object_;
  std::string where_;
};

}  // namespace vicha::towers
