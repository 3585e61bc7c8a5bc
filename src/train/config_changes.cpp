#include "train/config_changes.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json_depth.h"
#include "base/json_text.h"

namespace vicha {
namespace {

using Json = nlohmann::json;

/// "/optimizer/lr" -> "optimizer.lr"
std::string dotted(std::string pointer) {
  pointer.erase(0, 1);
  std::replace(pointer.begin(), pointer.end(), '/', '.');
  return pointer;
}

/// "./a//b.json " and "a/b.json" are one file.
Json tidy_name(const Json& value) {
  if (!value.is_string()) return value;
  std::string text = value.get<std::string>();
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  text.resize(end == std::string::npos ? 0 : end + 1);
  return std::filesystem::path(text).lexically_normal().string();
}

std::string todays_name(std::string key, const std::vector<MovedKey>& moved) {
  for (const auto& [from, to] : moved) {
    if (key == from || key.starts_with(from + '.')) return key.replace(0, from.size(), to);
  }
  return key;
}

/// Each leaf by its dotted key.
std::map<std::string, Json> leaves(std::string_view text, std::string_view where, const std::vector<MovedKey>& moved) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || nests_deeper(text))
    throw DataError(where, "is not a JSON object", "The checkpoint is damaged; use another one");
  const Json flat = json.flatten();
  std::map<std::string, Json> values;
  for (const auto& [pointer, value] : flat.items()) values.emplace(todays_name(dotted(pointer), moved), value);
  return values;
}

}  // namespace

std::vector<ConfigChange> config_changes(std::string_view before, std::string_view after, std::string_view where,
                                         const std::vector<MovedKey>& moved, std::string_view defaults) {
  const auto old_values = leaves(before, where, moved), new_values = leaves(after, "the recipe", moved);
  const auto default_values =
      defaults.empty() ? std::map<std::string, Json>() : leaves(defaults, "the defaults", moved);
  std::set<std::string> keys;
  for (const auto* values : {&old_values, &new_values}) {
    for (const auto& [key, value] : *values) keys.insert(key);
  }
  const auto shown = [](const std::map<std::string, Json>& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? std::string("not set") : json_text(found->second);
  };
  const auto same_name = [&](const std::string& key) {
    const auto before_it = old_values.find(key), after_it = new_values.find(key);
    return before_it != old_values.end() && after_it != new_values.end() &&
           tidy_name(before_it->second) == tidy_name(after_it->second);
  };
  std::vector<ConfigChange> changes;
  for (const std::string& key : keys) {
    const std::string was = shown(old_values, key), is = shown(new_values, key);
    if (!old_values.contains(key) && shown(default_values, key) == is) continue;
    if (was != is && !same_name(key)) changes.push_back({key, key + " was " + was + ", is " + is});
  }
  return changes;
}

bool matches_key(std::string_view key, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return key == pattern || (pattern.ends_with('.') && key.starts_with(pattern));
  });
}

std::vector<std::string> resumable_keys() {
  return {"train.epochs", "train.max_steps", "train.precision", "optimizer.", "schedule.", "checkpoint.", "log."};
}

}  // namespace vicha
