// Everything that writes a described struct: TOML, JSON, Markdown, the list for help.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "config/fields.h"
#include "config/serialize.h"

namespace vicha {
namespace {

using config_detail::FieldRecord;
using config_detail::Flat;
using config_detail::Value;

nlohmann::ordered_json json_number(double value) {
  if (std::isfinite(value)) return value;
  return config_detail::toml_value(value);
}

nlohmann::ordered_json json_value(const Value& value) {
  if (const auto* number = std::get_if<double>(&value)) return json_number(*number);
  if (const auto* list = std::get_if<std::vector<double>>(&value)) {
    auto out = nlohmann::ordered_json::array();
    for (const double item : *list) out.push_back(json_number(item));
    return out;
  }
  return std::visit([](const auto& plain) { return nlohmann::ordered_json(plain); }, value);
}

std::string comment_lines(const FieldRecord& field, const std::string& default_value) {
  std::string line = "# " + field.meaning;
  std::string notes;
  const auto note = [&](const std::string& text) { notes.append(notes.empty() ? "" : "; ").append(text); };
  if (!field.unit.empty()) note(field.unit);
  if (!field.allowed.empty()) note(field.allowed);
  if (config_detail::toml_value(field.value) != default_value) note("default " + default_value);
  if (!notes.empty()) line += " (" + notes + ")";
  return line + "\n";
}

std::string table_cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace

std::string to_toml(OptionsView options, TomlStyle style) {
  const Flat now = config_detail::flatten(options), defaults = config_detail::flatten_defaults(options);
  std::string out;
  // A table's own keys must stand before its sub-tables, whatever the order of the description: section by section.
  for (std::size_t section = 0; section < now.sections.size(); ++section) {
    bool opened = now.sections[section].path.empty();
    for (std::size_t i = 0; i < now.fields.size(); ++i) {
      const FieldRecord& field = now.fields[i];
      if (field.section != section) continue;
      const std::string value = config_detail::toml_value(field.value);
      const std::string default_value = config_detail::toml_value(defaults.fields[i].value);
      if (style.only_changes && value == default_value) continue;
      if (!opened) {
        if (!out.empty()) out += '\n';
        if (style.comments) out += "# " + now.sections[section].meaning + "\n";
        out += "[" + now.sections[section].path + "]\n";
        opened = true;
      }
      if (style.comments) out += comment_lines(field, default_value);
      out += field.key + " = " + value + "\n";
    }
  }
  return out;
}

std::string to_json(OptionsView options, int indent) {
  const Flat now = config_detail::flatten(options);
  auto root = nlohmann::ordered_json::object();
  for (const FieldRecord& field : now.fields) {
    nlohmann::ordered_json* table = &root;
    std::string_view rest = field.path;
    for (auto dot = rest.find('.'); dot != std::string_view::npos; dot = rest.find('.')) {
      table = &(*table)[std::string(rest.substr(0, dot))];
      rest.remove_prefix(dot + 1);
    }
    (*table)[field.key] = json_value(field.value);
  }
  return json_text(root, indent);
}

std::string to_markdown(OptionsView options, std::string_view title) {
  const Flat flat = config_detail::flatten_defaults(options);
  std::string out = fmt::format("# {}\n", title);
  for (std::size_t section = 0; section < flat.sections.size(); ++section) {
    const auto& [path, meaning] = flat.sections[section];
    std::string rows;
    for (const FieldRecord& field : flat.fields) {
      if (field.section != section) continue;
      rows += fmt::format("| `{}` | {} | `{}` | {} | {} | {} |\n", field.key, config_detail::type_name(field.value),
                          table_cell(config_detail::toml_value(field.value)), table_cell(field.unit),
                          table_cell(field.allowed), table_cell(field.meaning));
    }
    if (!path.empty()) out += fmt::format("\n## `[{}]`\n{}\n", path, meaning);
    if (!rows.empty()) {
      out += "\n| key | type | default | unit | allowed | meaning |\n|---|---|---|---|---|---|\n" + rows;
    }
  }
  return out;
}

std::vector<MovedKey> moved_keys(OptionsView options) { return config_detail::flatten(options).moved; }

}  // namespace vicha
