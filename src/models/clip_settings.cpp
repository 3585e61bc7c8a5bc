#include "models/clip_settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace vicha {
namespace {

using SettingsJson = nlohmann::json;

constexpr std::size_t kLongestValue = 80;    // characters of a value in a message
constexpr std::size_t kKeysOfAWarning = 12;  // of others the number is said

const SettingsJson& no_settings() {
  static const SettingsJson nothing = SettingsJson::object();
  return nothing;
}

std::string shown(const SettingsJson& value) {
  std::string text = value.dump(-1, ' ', true, SettingsJson::error_handler_t::replace);
  if (text.size() > kLongestValue) text = text.substr(0, kLongestValue) + "...";
  return text;
}

bool is_unset(const SettingsJson& value) {
  return value.is_null() || value == SettingsJson(false) || value == SettingsJson("") ||
         ((value.is_object() || value.is_array()) && value.empty());
}

}  // namespace

ClipSettings::ClipSettings(const SettingsJson& object, std::string path, std::string_view where)
    : object_(object.is_null() ? no_settings() : object), path_(std::move(path)), where_(where) {
  if (!object_.is_object()) throw DataError(where_, fmt::format("'{}' is not an object", path_));
}

std::string ClipSettings::name(const char* key) const { return path_.empty() ? key : path_ + "." + key; }

const SettingsJson* ClipSettings::find(const char* key) {
  known_.insert(key);
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

bool ClipSettings::has(const char* key) const {
  const auto found = object_.find(key);
  return found != object_.end() && !found->is_null();
}

const SettingsJson& ClipSettings::value(const char* key) {
  static const SettingsJson null;
  const SettingsJson* found = find(key);
  return found == nullptr ? null : *found;
}

void ClipSettings::wrong_kind(const char* key, const char* wanted) const {
  throw DataError(where_, fmt::format("'{}' has a value of the wrong kind, {}; wanted is {}", name(key),
                                      shown(object_.at(key)), wanted));
}

std::optional<std::int64_t> ClipSettings::whole(const char* key) {
  const SettingsJson* found = find(key);
  if (found == nullptr) return std::nullopt;
  // "size": 224.0 is written by some
  if (found->is_number_float()) {
    const double number = found->get<double>();
    if (std::fabs(number) < 1e9 && number == std::floor(number)) return static_cast<std::int64_t>(number);
  }
  if (!found->is_number_integer()) wrong_kind(key, "a whole number");
  return found->get<std::int64_t>();
}

std::optional<double> ClipSettings::number(const char* key) {
  const SettingsJson* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_number()) wrong_kind(key, "a number");
  return found->get<double>();
}

std::optional<bool> ClipSettings::flag(const char* key) {
  const SettingsJson* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_boolean()) wrong_kind(key, "true or false");
  return found->get<bool>();
}

std::optional<std::string> ClipSettings::text(const char* key) {
  const SettingsJson* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (!found->is_string()) wrong_kind(key, "a text");
  return found->get<std::string>();
}

std::optional<std::vector<double>> ClipSettings::colours(const char* key) {
  const SettingsJson* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (found->is_number()) return std::vector<double>(3, found->get<double>());
  const auto is_number = [](const SettingsJson& value) { return value.is_number(); };
  if (!found->is_array() || found->size() != 3 || !std::ranges::all_of(*found, is_number)) {
    wrong_kind(key, "a list of three numbers, one a colour");
  }
  return found->get<std::vector<double>>();
}

std::optional<std::int64_t> ClipSettings::side(const char* key) {
  const SettingsJson* found = find(key);
  if (found == nullptr || !found->is_array()) return whole(key);
  const SettingsJson& list = *found;
  const auto is_whole = [](const SettingsJson& value) { return value.is_number_integer(); };
  if (list.empty() || list.size() > 2 || !std::ranges::all_of(list, is_whole))
    wrong_kind(key, "a side, or height and width");
  if (list.front() != list.back()) refuse(key, "a square");
  return list.front().get<std::int64_t>();
}

ClipSettings ClipSettings::inside(const char* key) {
  const SettingsJson* found = find(key);
  return {found == nullptr ? no_settings() : *found, name(key), where_};
}

void ClipSettings::expect(const char* key, std::int64_t told) {
  const auto said = whole(key);
  if (said && *said != told) {
    throw DataError(where_, fmt::format("'{}' is {}, but the weights' shapes say {}", name(key), *said, told),
                    "The configuration belongs to other weights");
  }
}

void ClipSettings::expect_side(const char* key, std::int64_t told) {
  const auto said = side(key);
  if (said && *said != told) {
    throw DataError(where_, fmt::format("'{}' is {}, but the weights' shapes say {}", name(key), *said, told),
                    "The configuration belongs to other weights");
  }
}

void ClipSettings::unset(std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (!is_unset(value(key))) refuse(key);
  }
}

void ClipSettings::only(const char* key, std::initializer_list<SettingsJson> built) {
  const SettingsJson& said = value(key);
  const bool is_flag = built.begin()->is_boolean();
  if ((is_unset(said) && !(is_flag && said.is_boolean())) || std::ranges::find(built, said) != built.end()) return;
  std::vector<std::string> names;
  for (const SettingsJson& one : built) names.push_back(shown(one));
  refuse(key, fmt::format("{}", fmt::join(names, ", ")));
}

void ClipSettings::pass(std::initializer_list<const char*> keys) {
  for (const char* key : keys) known_.insert(key);
}

void ClipSettings::warn_of_rest() const {
  std::vector<std::string> keys;
  std::size_t more = 0;
  for (const auto& [key, value] : object_.items()) {
    if (known_.contains(key) || value.is_null()) continue;
    if (keys.size() < kKeysOfAWarning) {
      keys.push_back(fmt::format("'{}' ({})", name(key.c_str()), shown(value)));
    } else {
      ++more;
    }
  }
  if (keys.empty()) return;
  log::warning(
      "{}: not known here and passed over: {}{}. Embeddings may differ from the model's own if that changes what it "
      "computes",
      where_, fmt::join(keys, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
}

void ClipSettings::refuse(const char* key, const std::string& instead) const {
  throw DataError(where_,
                  fmt::format("'{}' is {}, which is not built here{}", name(key),
                              object_.contains(key) ? shown(object_.at(key)) : "missing",
                              instead.empty() ? "" : "; built is " + instead),
                  "Embeddings would differ from the model's own: use other weights");
}

}  // namespace vicha
