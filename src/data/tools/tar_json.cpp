#include "data/tools/tar_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/json_text.h"
#include "data/manifest/record_reader.h"
#include "text/utf8.h"

namespace vicha {
namespace {

using TarJson = nlohmann::json;  // sorted: an ordered one takes time in the square of an object's size

constexpr std::size_t kListedDepth = 3;
constexpr std::string_view kNan = "\x01NaN";  // what stands for NaN in a value that was read

/// NaN, Infinity and -Infinity outside of texts become a text that no file of others holds.
std::string without_nan(const std::string& text) {
  std::string out;
  bool in_text = false;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_text) {
      if (c == '\\' && i + 1 < text.size()) out += text[i++];
      in_text = c != '"';
    } else if (c == '"') {
      in_text = true;
    } else {
      bool replaced = false;
      for (const std::string_view word : {"NaN", "-Infinity", "Infinity"}) {
        if (text.compare(i, word.size(), word) != 0) continue;
        out += "\"\\u0001NaN\"";
        i += word.size();
        replaced = true;
        break;
      }
      if (replaced) continue;
    }
    out += text[i++];
  }
  return out;
}

void take(const TarJson& value, SampleJson::Texts& texts) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text == kNan) {
      texts.nan = true;
    } else {
      texts.found.push_back(text);
    }
  } else if (!value.is_null()) {
    texts.no_text = true;
  }
}

void search(const TarJson& value, std::string_view path, SampleJson::Texts& texts) {
  if (value.is_array()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    std::size_t index = 0;
    const auto [end, error] = std::from_chars(path.data(), path.data() + dot, index);
    if (dot > 0 && error == std::errc() && end == path.data() + dot) {
      if (index < value.size()) search(value[index], path.substr(std::min(dot + 1, path.size())), texts);
      return;
    }
    texts.list = true;
    for (const TarJson& element : value) {
      if (path.empty()) {
        take(element, texts);
      } else {
        search(element, path, texts);
      }
    }
    return;
  }
  if (path.empty()) return take(value, texts);
  if (!value.is_object()) return;
  // A name may hold dots: the longest that is there.
  for (std::size_t dot = path.size(); dot != std::string_view::npos;) {
    if (const auto found = value.find(std::string(path.substr(0, dot))); found != value.end()) {
      return search(*found, path.substr(std::min(dot + 1, path.size())), texts);
    }
    dot = dot == 0 ? std::string_view::npos : path.rfind('.', dot - 1);
  }
}

void list_fields_of(const TarJson& value, const std::string& path, std::size_t depth, TarInventory& inventory) {
  if (value.is_string() && !path.empty() && value.get_ref<const std::string&>() != kNan) {
    return inventory.add_field(path);
  }
  if (value.is_array() && !value.empty()) return list_fields_of(value.front(), path, depth, inventory);
  if (!value.is_object() || depth == kListedDepth) return;
  for (const auto& [name, field] : value.items()) {
    if (name.size() > 64) continue;  // a name that long is data
    list_fields_of(field, path.empty() ? name : path + "." + name, depth + 1, inventory);
  }
}

}  // namespace

SampleJson::SampleJson(std::string text) {
  if (!is_utf8(text)) {
    cause_ = LostCause::kEncoding;
    fault_ = "it is not UTF-8";
    return;
  }
  std::string outermost;
  const auto shallow = [&](int depth, TarJson::parse_event_t event, TarJson& value) {
    if (depth == 1 && event == TarJson::parse_event_t::key) outermost = value.get_ref<const std::string&>();
    if (depth <= kMostLevels) return true;
    cut_.insert(outermost);
    return false;
  };
  try {
    value_ = TarJson::parse(without_nan(text), shallow);
  } catch (const nlohmann::json::exception& error) {
    fault_ = "it is not JSON: " + json_reason(error.what());
  }
}

SampleJson::Texts SampleJson::texts(std::string_view path) const {
  Texts texts;
  search(value_, path, texts);
  return texts;
}

const TarJson* SampleJson::field(const std::string& name) const {
  if (!value_.is_object()) return nullptr;
  const auto found = value_.find(name);
  return found == value_.end() ? nullptr : &*found;
}

bool SampleJson::is_cut(const std::string& name) const { return cut_.contains(name); }

bool SampleJson::holds_nan(const TarJson& value) {
  if (value.is_structured()) return std::any_of(value.begin(), value.end(), holds_nan);
  return value.is_string() && value.get_ref<const std::string&>() == kNan;
}

void SampleJson::list_fields(TarInventory& inventory) const { list_fields_of(value_, "", 0, inventory); }

}  // namespace vicha
