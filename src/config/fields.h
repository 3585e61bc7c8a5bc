// A described struct flattened: what the writers and the reader's checks work on. Used inside this room only.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/describe.h"
#include "config/serialize.h"

namespace vicha::config_detail {

using Value = std::variant<bool, std::int64_t, double, std::string, std::vector<double>, std::vector<std::string>>;

struct SectionRecord {
  std::string path, meaning;
};

struct FieldRecord {
  std::size_t section;  ///< index into Flat::sections
  std::string path, key, unit, meaning, allowed;
  Value value;
};

struct Flat {
  std::vector<SectionRecord> sections;  ///< the root, "", first
  std::vector<FieldRecord> fields;
  std::vector<MovedKey> moved;  ///< those to what is described
};

Flat flatten(OptionsView options);
Flat flatten_defaults(OptionsView options);

/// "at least 1", "from 0 to 1", "\"a\", \"b\"", or "".
std::string allowed_values(const Field& about);
std::string_view type_name(const Value& value);

std::string toml_string(std::string_view text);  ///< a TOML basic string
std::string toml_value(const Value& value);
std::string join_path(std::string_view section, std::string_view key);

}  // namespace vicha::config_detail
