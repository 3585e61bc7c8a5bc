#include "train/config_changes.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json_depth.h"

namespace vicha {
namespace {

using Json = nlohmann::json;

/// "/optimizer/lr" -> "optimizer.lr"
std::string dotted(std::string pointer) {
  pointer.erase(0, 1);
  std::replace(pointer.begin(), pointer.end(), '/', '.');
  return pointer;
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
    return found == values.end() ? std::string("not set") : found->second.dump();
  };
  std::vector<ConfigChange> changes;
  for (const std::string& key : keys) {
    const std::string was = shown(old_values, key), is = shown(new_values, key);
    if (!old_values.contains(key) && shown(default_values, key) == is) continue;
    if (was != is) changes.push_back({key, key + " was " + was + ", is " + is});
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
