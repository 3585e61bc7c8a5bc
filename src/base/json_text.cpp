#include "base/json_text.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/printable.h"

namespace vicha {
namespace {

bool is_json_string(const std::string& text) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

std::string as_json_string(const std::string& text) { return is_json_string(text) ? text : printable(text); }

template <class Json>
Json escaped_json(const Json& value) {
  if (value.is_string()) return as_json_string(value.template get_ref<const std::string&>());
  if (!value.is_structured()) return value;
  Json out(value.type());
  if (value.is_array()) {
    for (const Json& item : value) out.push_back(escaped_json(item));
  } else {
    for (const auto& [key, item] : value.items()) out[as_json_string(key)] = escaped_json(item);
  }
  return out;
}

template <class Json>
std::string text_of(const Json& json, int indent) {
  try {
    return json.dump(indent);
  } catch (const nlohmann::json::exception&) {
    return escaped_json(json).dump(indent);
  }
}

}  // namespace

std::string json_text(const nlohmann::json& json, int indent) { return text_of(json, indent); }
std::string json_text(const nlohmann::ordered_json& json, int indent) { return text_of(json, indent); }

void require_utf8(std::string_view name, std::string_view where) {
  if (is_json_string(std::string(name))) return;
  throw DataError(where, "the name " + printable(name) + " is not UTF-8, so no manifest could hold it",
                  "Rename it (of Latin-1, whole folders: convmv -r -f latin1 -t utf8 --notest FOLDER)");
}

std::string json_reason(std::string_view message) {
  const std::size_t start = message.find(": ");
  if (message.starts_with("[json.exception.parse_error") && start != std::string_view::npos) {
    message.remove_prefix(start + 2);
  } else if (const std::size_t bracket = message.find("] "); bracket != std::string_view::npos) {
    message.remove_prefix(bracket + 2);
  }
  return std::string(message.substr(0, message.find("; last read")));
}

}  // namespace vicha
