#include "config/toml_source.h"

#include "base/log.h"
#include "config/fields.h"

namespace vicha::config_detail {
namespace {

struct SplitPath {
  std::string_view section, key;
};
SplitPath split_path(std::string_view path) {
  const auto dot = path.rfind('.');
  if (dot == std::string_view::npos) return {"", path};
  return {path.substr(0, dot), path.substr(dot + 1)};
}

// Null if there is none: the text says nothing of the section, or gives a value in its place.
toml::table* find_table(toml::table& root, std::string_view path, bool create) {
  toml::table* table = &root;
  while (table && !path.empty()) {
    const auto dot = path.find('.');
    const std::string_view key = path.substr(0, dot);
    toml::node* next = table->get(key);
    if (!next && create) next = &table->insert_or_assign(key, toml::table{}).first->second;
    table = next ? next->as_table() : nullptr;
    path = dot == std::string_view::npos ? "" : path.substr(dot + 1);
  }
  return table;
}

// Takes a key out, and sections that it leaves empty: they may be described no more.
void erase(toml::table& root, std::string_view path) {
  const auto [section, key] = split_path(path);
  toml::table* table = find_table(root, section, /*create=*/false);
  table->erase(key);
  if (table->empty() && !section.empty()) erase(root, section);
}

void put(toml::table& root, const std::string& from, const std::string& to, const toml::key& old_key, toml::node& node,
         const Origin& origin) {
  const auto [section, key] = split_path(to);
  toml::table* table = find_table(root, section, /*create=*/true);
  if (!table) return;  // a value stands where the section belongs, which is refused when the options are applied
  toml::node* there = table->get(key);
  if (!there) {
    table->insert_or_assign(toml::key(key, toml::source_region(old_key.source())), std::move(node));
  } else if (there->is_table() && node.is_table()) {
    for (auto&& [name, child] : *node.as_table()) {
      put(root, join_path(from, name.str()), join_path(to, name.str()), name, child, origin);
    }
  } else {
    origin.fail(old_key.source(), fmt::format("'{}' is the old name of '{}', which is given too", from, to),
                fmt::format("Keep '{}'", to));
  }
}

}  // namespace

std::string describe_node(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return fmt::format("the string {}", toml_string(node.as_string()->get()));
    case toml::node_type::integer:
      return fmt::format("the integer {}", node.as_integer()->get());
    case toml::node_type::floating_point:
      return fmt::format("the number {}", toml_value(node.as_floating_point()->get()));
    case toml::node_type::boolean:
      return node.as_boolean()->get() ? "true" : "false";
    default:
      return "a date or time";
  }
}

void rename_moved(toml::table& root, const std::vector<MovedKey>& moved, const Origin& origin) {
  for (const auto& [from, to] : moved) {
    const auto [section, key] = split_path(from);
    toml::table* table = find_table(root, section, /*create=*/false);
    const auto old = table ? table->find(key) : toml::table::iterator{};
    if (!table || old == table->end()) continue;
    log::debug("{}: '{}' is called '{}' now", origin.name(old->first.source()), from, to);
    // Taken out first: the new place may lie below the old one's section.
    const toml::key old_key = old->first;
    toml::table held;
    held.insert_or_assign("node", std::move(old->second));
    erase(root, from);
    put(root, from, to, old_key, *held.get("node"), origin);
  }
}

}  // namespace vicha::config_detail
