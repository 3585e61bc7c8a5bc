#include "train/config_changes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"

namespace vicha {
namespace {

using Json = nlohmann::json;

Json flattened(std::string_view text, std::string_view where) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw DataError(where, "is not a JSON object", "The checkpoint is damaged; use another one");
  return json.flatten();
}

/// "/optimizer/lr" -> "optimizer.lr"
std::string dotted(std::string pointer) {
  pointer.erase(0, 1);
  std::replace(pointer.begin(), pointer.end(), '/', '.');
  return pointer;
}

}  // namespace

std::vector<ConfigChange> config_changes(std::string_view before, std::string_view after, std::string_view where) {
  const Json old_values = flattened(before, where), new_values = flattened(after, "the recipe");
  std::set<std::string> pointers;
  for (const Json* values : {&old_values, &new_values}) {
    for (const auto& [pointer, value] : values->items()) pointers.insert(pointer);
  }
  const auto shown = [](const Json& values, const std::string& pointer) {
    return values.contains(pointer) ? values[pointer].dump() : std::string("not set");
  };
  std::vector<ConfigChange> changes;
  for (const std::string& pointer : pointers) {
    const std::string was = shown(old_values, pointer), is = shown(new_values, pointer);
    if (was == is) continue;
    const std::string key = dotted(pointer);
    changes.push_back({key, key + " was " + was + ", is " + is});
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
