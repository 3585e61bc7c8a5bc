// From a record's JSON to the values of its columns.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/blank.h"
#include "data/manifest/column.h"
#include "data/manifest/json_kind.h"

namespace vicha {
namespace {

using Value = nlohmann::json;

constexpr const char* kCorrectRecord = "Correct the record or take it out";

/// What stands there, short enough for a message.
std::string shown(const Value& value) {
  constexpr std::size_t kLongest = 40;
  if (value.is_number_integer() || (value.is_string() && value.get_ref<const std::string&>().size() <= kLongest)) {
    return value.dump();
  }
  return value.is_array() ? fmt::format("a list of {}", value.size()) : std::string(json_kind(value));
}

/// As the ends of sentences in Column::parse.
std::string is_not(const Value& value, std::string_view wanted) {
  return fmt::format("is {}, not {}", shown(value), wanted);
}

/// "" if it is a box.
std::string read_box(const Value& value, FloatBox& box) {
  constexpr std::string_view kForm = "[x, y, width, height]";
  if (!value.is_array() || value.size() != 4) return fmt::format("{}, not {}", shown(value), kForm);
  float* const to[] = {&box.x, &box.y, &box.width, &box.height};
  for (std::size_t i = 0; i < 4; ++i) {
    if (!value[i].is_number()) return fmt::format("{} with {} in it, not {}", kForm, shown(value[i]), kForm);
    *to[i] = value[i].get<float>();
    if (!std::isfinite(*to[i])) return "a box with a number that is too large";
  }
  return box.width > 0 && box.height > 0 ? "" : fmt::format("the box {}, which has no area", value.dump());
}

/// Numbers beside `count` values; "" if they are right.
std::string read_beside(const Value& value, std::string_view field, std::size_t count, std::vector<float>& numbers) {
  numbers.clear();
  if (!value.is_array() || value.size() != count) {
    return fmt::format("has {} values, but field \"{}\" is {}, not a list of {} numbers", count, field, shown(value),
                       count);
  }
  for (const Value& number : value) {
    if (!number.is_number() || !std::isfinite(number.get<float>())) {
      return fmt::format("has beside it a field \"{}\" with {} in it, where only numbers may be", field, shown(number));
    }
    numbers.push_back(number.get<float>());
  }
  return "";
}

}  // namespace

std::optional<ColumnFault> Column::read(const Value& record, const ImagePaths& paths) {
  const auto value = record.find(spec_.field);
  found_ = value != record.end();
  if (!found_) {
    if (!spec_.required) return std::nullopt;
    return ColumnFault{spec_.field, fmt::format("field \"{}\" is missing", spec_.field),
                       fmt::format("Add it, {}, or take the record out", wanted())};
  }
  const auto beside = spec_.beside.empty() ? record.end() : record.find(spec_.beside);
  std::string wrong = parse(*value, beside == record.end() ? nullptr : &*beside, paths);
  if (wrong.empty()) return std::nullopt;
  return ColumnFault{spec_.field, fmt::format("field \"{}\" {}", spec_.field, wrong), kCorrectRecord};
}

std::string ImageColumn::parse(const Value& value, const Value* beside, const ImagePaths& paths) {
  if (const std::string& field = spec().beside; !field.empty()) {
    words_read_.clear();
    if (beside == nullptr) return fmt::format("has no concepts beside it: field \"{}\" is missing", field);
    for (const Value& word : *beside) {
      if (word.is_string()) words_read_.push_back(word.get<std::string>());
    }
    if (!beside->is_array() || words_read_.size() != beside->size()) {
      return fmt::format("has beside it a field \"{}\" that is {}, not a list of strings", field, shown(*beside));
    }
  }

  const auto* name = value.get_ptr<const std::string*>();
  if (name == nullptr || !is_file_name(*name)) return is_not(value, wanted());
  std::optional<std::string> found = paths.find(*name);
  if (!found) {
    const NameFault fault = paths.fault(*name);
    return fmt::format("{}. {}", fault.what, fault.remedy);
  }
  path_ = *std::move(found);
  return "";
}

std::string TextColumn::parse(const Value& value, const Value*, const ImagePaths&) {
  if (!value.is_string()) return is_not(value, wanted());
  text_ = value.get<std::string>();
  return "";
}

std::string IdColumn::parse(const Value& value, const Value*, const ImagePaths&) {
  if (!value.is_string() && !value.is_number_integer()) return is_not(value, wanted());
  text_ =
      value.is_string() ? fmt::format("s{}", value.get_ref<const std::string&>()) : fmt::format("n{}", value.dump());
  return "";
}

std::string LabelColumn::wanted() const {
  if (spec().values.empty()) return "an integer from 0";
  std::string names;
  for (const std::string& name : spec().values) names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", name);
  return "one of " + names;
}

std::string LabelColumn::parse(const Value& value, const Value*, const ImagePaths&) {
  const std::vector<std::string>& names = spec().values;
  if (value.is_string() && !names.empty()) {
    const auto place = std::find(names.begin(), names.end(), value.get_ref<const std::string&>());
    if (place == names.end()) return is_not(value, wanted());
    label_ = static_cast<std::uint32_t>(place - names.begin());
    return "";
  }
  const std::uint64_t end = names.empty() ? std::uint64_t{1} << 31 : names.size();
  // Non-negative integers are unsigned to this parser.
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= end) return is_not(value, wanted());
  label_ = value.get<std::uint32_t>();
  return "";
}

std::string AnswersColumn::parse(const Value& value, const Value* beside, const ImagePaths&) {
  read_.clear();
  if (!value.is_string() && !value.is_array()) return is_not(value, wanted());
  const Value answers = value.is_string() ? Value::array({value}) : value;
  if (answers.empty()) return "is an empty list";
  std::vector<float> weights;
  if (beside != nullptr) {
    if (std::string wrong = read_beside(*beside, spec().beside, answers.size(), weights); !wrong.empty()) return wrong;
    if (std::any_of(weights.begin(), weights.end(), [](float weight) { return weight < 0; })) {
      return fmt::format("has beside it a field \"{}\" with a negative weight", spec().beside);
    }
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].is_string()) return fmt::format("holds {}, where only strings may be", shown(answers[i]));
    const auto& text = answers[i].get_ref<const std::string&>();
    const double weight =
        beside != nullptr ? static_cast<double>((*beside)[i].get<double>()) : 1.0 / static_cast<double>(answers.size());
    const auto same = std::find_if(read_.begin(), read_.end(), [&](const Read& known) { return known.text == text; });
    if (same == read_.end()) {
      read_.push_back({text, weight, 1});
    } else {
      same->weight += weight;
      ++same->count;
    }
  }
  return "";
}

std::string TagsColumn::parse(const Value& value, const Value*, const ImagePaths&) {
  read_.clear();
  if (!value.is_array()) return is_not(value, wanted());
  if (value.empty()) return "is an empty list";
  for (const Value& tag : value) {
    if (!tag.is_string() && !tag.is_null()) {
      return fmt::format("holds {}, where only strings and null may be", shown(tag));
    }
    if (tag.is_string() && is_blank(tag.get_ref<const std::string&>()))
      return "holds an empty tag: null stands for none";
    read_.push_back(tag.is_null() ? std::nullopt : std::optional(tag.get<std::string>()));
  }
  return "";
}

std::string BoxColumn::parse(const Value& value, const Value*, const ImagePaths&) {
  const std::string wrong = read_box(value, box_);
  return wrong.empty() ? "" : "is " + wrong;
}

std::string BoxesColumn::parse(const Value& value, const Value* beside, const ImagePaths&) {
  read_ = {};
  if (!value.is_array()) return is_not(value, wanted());
  for (const Value& one : value) {
    const std::string wrong = read_box(one, read_.boxes.emplace_back());
    if (!wrong.empty()) return "holds " + wrong;
  }
  return beside == nullptr ? "" : read_beside(*beside, spec().beside, value.size(), read_.scores);
}

}  // namespace vicha
