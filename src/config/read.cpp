// Reading TOML into described structs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "config/fields.h"
#include "config/section_names.h"
#include "config/serialize.h"
#include "config/suggestion.h"
#include "config/toml_source.h"

namespace vicha {
namespace {

using config_detail::describe_node;
using config_detail::join_path;
using config_detail::Origin;
using config_detail::toml_string;

constexpr std::string_view kBaseKey = "base";
constexpr std::uint64_t kMostRecipe = std::uint64_t{16} << 20;

class Applier final : public Visitor {
 public:
  Applier(const toml::table& root, const Origin& origin) : origin_(origin) { open_.push_back({&root, ""}); }

  void field(const Field& about, bool& value) override {
    const toml::node* node = find(about);
    if (!node) return;
    const auto* got = node->as_boolean();
    if (!got) wrong_type(about, *node, "true or false");
    value = got->get();
  }

  void field(const Field& about, std::int64_t& value) override {
    const toml::node* node = find(about);
    if (!node) return;
    const auto* got = node->as_integer();
    if (!got) wrong_type(about, *node, "an integer");
    check_range(about, *node, static_cast<double>(got->get()));
    value = got->get();
  }

  void field(const Field& about, double& value) override {
    if (const toml::node* node = find(about)) value = number(about, *node, "a number");
  }

  void field(const Field& about, std::string& value) override {
    const toml::node* node = find(about);
    if (!node) return;
    std::string text;
    if (const auto* got = node->as_string()) {
      text = got->get();
    } else if (origin_.raw_value() && !node->is_table() && !node->is_array()) {
      text = *origin_.raw_value();  // --set data.root=2024 means the folder of that name
    } else {
      wrong_type(about, *node, "a string");
    }
    check_choice(about, *node, text);
    value = std::move(text);
  }

  void field(const Field& about, std::vector<double>& value) override {
    const toml::node* node = find(about);
    if (!node) return;
    constexpr std::string_view kWanted = "a list of numbers, as [0.5, 1.0]";
    if (!node->is_array()) wrong_type(about, *node, kWanted);
    std::vector<double> list;
    for (const auto& item : *node->as_array()) list.push_back(number(about, item, kWanted));
    value = std::move(list);
  }

  void field(const Field& about, std::vector<std::string>& value) override {
    const toml::node* node = find(about);
    if (!node) return;
    constexpr std::string_view kWanted = "a list of strings, as [\"one\", \"two\"]";
    if (!node->is_array()) wrong_type(about, *node, kWanted);
    std::vector<std::string> list;
    for (const auto& item : *node->as_array()) {
      if (!item.is_string()) wrong_type(about, item, kWanted);
      check_choice(about, item, item.as_string()->get());
      list.push_back(item.as_string()->get());
    }
    value = std::move(list);
  }

 protected:
  void named(const Field& about, std::string_view name, std::function<void(std::string_view)> set) override {
    std::string text(name);
    field(about, text);
    set(text);
  }
  void begin_section(std::string_view key, std::string_view /*meaning*/) override {
    const auto& [table, path] = open_.back();
    const toml::node* node = table ? table->get(key) : nullptr;
    std::string full = join_path(path, key);
    if (node && !node->is_table()) {
      origin_.fail(node->source(),
                   fmt::format("'{}' is a section, not a value, but got {}", full, describe_node(*node)),
                   fmt::format("Set its keys below a line [{}]", full));
    }
    open_.push_back({node ? node->as_table() : nullptr, std::move(full)});
  }
  void end_section() override { open_.pop_back(); }

 private:
  struct Open {
    const toml::table* table;  ///< null where the text does not mention the section
    std::string path;
  };

  const toml::node* find(const Field& about) const {
    return open_.back().table ? open_.back().table->get(about.key) : nullptr;
  }
  std::string full_name(const Field& about) const { return join_path(open_.back().path, about.key); }

  [[noreturn]] void wrong_type(const Field& about, const toml::node& node, std::string_view wanted) const {
    const std::string allowed = config_detail::allowed_values(about);
    origin_.fail(node.source(),
                 fmt::format("'{}' must be {}, but got {}", full_name(about), wanted, describe_node(node)),
                 allowed.empty() ? "" : "Allowed: " + allowed);
  }

  double number(const Field& about, const toml::node& node, std::string_view wanted) const {
    double got = 0;
    if (const auto* real = node.as_floating_point()) {
      got = real->get();
    } else if (const auto* integer = node.as_integer()) {
      got = static_cast<double>(integer->get());
    } else {
      wrong_type(about, node, wanted);
    }
    // 1e999 is an infinity too, and no option means anything with one.
    if (!std::isfinite(got)) wrong_type(about, node, "a finite number");
    check_range(about, node, got);
    return got;
  }

  void check_range(const Field& about, const toml::node& node, double got) const {
    if ((!about.min || got >= *about.min) && (!about.max || got <= *about.max)) return;
    origin_.fail(node.source(), fmt::format("'{}' is out of range: {}", full_name(about), describe_node(node)),
                 "Allowed: " + config_detail::allowed_values(about));
  }

  void check_choice(const Field& about, const toml::node& node, const std::string& got) const {
    if (about.choices.empty() || std::ranges::find(about.choices, got) != about.choices.end()) return;
    origin_.fail(node.source(), fmt::format("'{}' cannot be {}", full_name(about), toml_string(got)),
                 "Allowed: " + config_detail::allowed_values(about));
  }

  const Origin& origin_;
  std::vector<Open> open_;
};

void check_known(const toml::table& table, const std::string& path, const std::vector<std::string>& sections,
                 const std::vector<std::string>& fields, const Origin& origin) {
  for (const auto& [key, node] : table) {
    const std::string full = join_path(path, key.str());
    if (std::ranges::find(fields, full) != fields.end()) continue;
    if (std::ranges::find(sections, full) != sections.end()) {
      if (node.is_table()) check_known(*node.as_table(), full, sections, fields, origin);
      continue;
    }
    const std::string near_section = nearest_name(full, sections), near_field = nearest_name(full, fields);
    // A table can only have been meant as a section, where there are any.
    const bool is_section = node.is_table() && !near_section.empty();
    const std::string near = is_section ? near_section : near_field;
    origin.fail(key.source(), fmt::format("unknown {} '{}'", node.is_table() ? "section" : "key", full),
                near.empty() ? "No keys are known here" : fmt::format("Did you mean '{}'?", near));
  }
}

void apply_table(OptionsRef options, toml::table& table, const Origin& origin) {
  const auto flat = config_detail::flatten(options);
  std::vector<std::string> sections, fields;
  for (const auto& section : flat.sections) {
    if (!section.path.empty()) sections.push_back(section.path);
  }
  for (const auto& field : flat.fields) fields.push_back(field.path);
  config_detail::rename_moved(table, flat.moved, origin);
  check_known(table, "", sections, fields, origin);
  Applier applier(table, origin);
  options.describe(applier);
}

/// As what recipes are told apart by. A name that no file can have, such as one too long, stays as it is.
fs::path identity_of(const fs::path& file) {
  std::error_code failed;
  fs::path found = fs::weakly_canonical(file, failed);
  return failed ? file : found;
}

bool is_there(const fs::path& file) {
  std::error_code failed;
  return fs::exists(file, failed);
}

void load_file(OptionsRef options, const fs::path& file, std::vector<fs::path> chain);

toml::table parse_file(std::string_view text, const fs::path& file) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    Origin::file(file).fail(error.source(), error.description(), "The file must be TOML");
  } catch (const config_detail::TomlFault& fault) {
    throw DataError(file.string(), fault.what(), "Look at the headers of its sections: [name]");
  }
}

void apply_text(OptionsRef options, std::string_view text, const fs::path& file, const std::vector<fs::path>& chain) {
  const Origin origin = Origin::file(file);
  toml::table table = parse_file(text, file);
  if (const toml::node* base = table.get(kBaseKey)) {
    if (!base->is_string() || base->as_string()->get().empty() ||
        base->as_string()->get().find('\0') != std::string::npos) {
      origin.fail(base->source(), fmt::format("'{}' must be a file name, but got {}", kBaseKey, describe_node(*base)));
    }
    const fs::path target = file.parent_path() / base->as_string()->get();
    if (std::ranges::find(chain, identity_of(target)) != chain.end()) {
      std::string names;
      for (const auto& link : chain) names += link.filename().string() + " → ";
      origin.fail(base->source(), fmt::format("recipes are each other's base: {}{}", names, target.filename().string()),
                  "Take one 'base' line out");
    }
    if (!is_there(target)) {
      origin.fail(base->source(), fmt::format("the base recipe '{}' does not exist", target.string()),
                  "'base' is relative to the recipe that names it");
    }
    load_file(options, target, chain);
    table.erase(kBaseKey);
  }
  apply_table(options, table, origin);
}

void load_file(OptionsRef options, const fs::path& file, std::vector<fs::path> chain) {
  const std::string text = read_text_file(file, kMostRecipe);
  chain.push_back(identity_of(file));
  apply_text(options, text, file, chain);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// `value` as TOML, else as a bare string. Null where it is not UTF-8, so that every accepted value can be written
// again.
std::optional<toml::table> parse_value(std::string_view value) {
  try {
    auto parsed = toml::parse("value = " + std::string(value));
    if (parsed.size() == 1) return parsed;  // more: a line break let further assignments in
  } catch (const toml::parse_error&) {
  } catch (const config_detail::TomlFault&) {
  }
  try {
    return toml::parse("value = " + toml_string(value));
  } catch (const toml::parse_error&) {
    return std::nullopt;
  } catch (const config_detail::TomlFault&) {
    return std::nullopt;
  }
}

}  // namespace

void apply_toml(OptionsRef options, std::string_view text, const fs::path& file) {
  apply_text(options, text, file, {identity_of(file)});
}

std::optional<std::string> root_string(const fs::path& file, std::string_view key) {
  std::vector<fs::path> chain;
  for (fs::path next = file; std::ranges::find(chain, identity_of(next)) == chain.end();) {
    chain.push_back(identity_of(next));
    toml::table table;
    try {
      table = toml::parse(read_file(next, kMostRecipe));
    } catch (const toml::parse_error&) {
      return std::nullopt;  // reading the values says what is wrong
    } catch (const config_detail::TomlFault&) {
      return std::nullopt;
    }
    if (const auto value = table[key].value<std::string>()) return value;
    const auto base = table[kBaseKey].value<std::string>();
    if (!base || !is_there(next.parent_path() / *base)) return std::nullopt;
    next = next.parent_path() / *base;
  }
  return std::nullopt;
}

std::vector<std::string> section_names(const fs::path& file, std::string_view section) {
  // From the file to its last base; a base that is missing, or that comes round again, is told of by load_recipe.
  std::vector<std::vector<std::string>> found;
  std::vector<fs::path> chain;
  for (fs::path next = file; std::ranges::find(chain, identity_of(next)) == chain.end();) {
    chain.push_back(identity_of(next));
    const toml::table table = parse_file(read_text_file(next, kMostRecipe), next);
    std::vector<std::pair<toml::source_index, std::string>> lines;
    if (const toml::table* below = table[section].as_table()) {
      for (const auto& [key, node] : *below) {
        if (node.is_table()) lines.emplace_back(key.source().begin.line, key.str());
      }
    }
    std::ranges::sort(lines);
    auto& names = found.emplace_back();
    for (auto& [line, name] : lines) names.push_back(std::move(name));
    const auto base = table[kBaseKey].value<std::string>();
    if (!base || !is_there(next.parent_path() / *base)) break;
    next = next.parent_path() / *base;
  }
  std::vector<std::string> all;
  for (auto names = found.rbegin(); names != found.rend(); ++names) {
    for (std::string& name : *names) {
      if (std::ranges::find(all, name) == all.end()) all.push_back(std::move(name));
    }
  }
  return all;
}

void load_recipe(OptionsRef options, const fs::path& file) { load_file(options, file, {}); }

void apply_override(OptionsRef options, std::string_view assignment) {
  const auto equals = assignment.find('=');
  const std::string_view path = trimmed(assignment.substr(0, equals));
  if (equals == std::string_view::npos || path.empty()) {
    throw UsageError(fmt::format("--set {}: not an assignment. Write it as section.key=value", assignment));
  }
  const std::string_view value = trimmed(assignment.substr(equals + 1));
  const Origin origin = Origin::assignment(assignment, value);
  auto parsed = parse_value(value);
  if (!parsed) origin.fail({}, "the value is not UTF-8 text");

  toml::table root;
  toml::table* table = &root;
  std::string_view rest = path;
  for (auto dot = rest.find('.'); dot != std::string_view::npos; dot = rest.find('.')) {
    table = table->insert_or_assign(rest.substr(0, dot), toml::table{}).first->second.as_table();
    rest.remove_prefix(dot + 1);
  }
  table->insert_or_assign(rest, std::move(*parsed->get("value")));
  apply_table(options, root, origin);
}

void apply_overrides(OptionsRef options, const std::vector<std::string>& assignments) {
  for (const std::string& assignment : assignments) apply_override(options, assignment);
}

}  // namespace vicha
