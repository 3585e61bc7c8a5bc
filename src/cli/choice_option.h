// An option of a command that takes the names of an enumeration's values.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "config/choice.h"

namespace vicha::cli {

/// `value`, which outlives the command (an Enum, or an std::optional of one), becomes what is named; other names are
/// refused.
template <class Value, class Enum, std::size_t N>
CLI::Option* add_choice(CLI::App& command, const std::string& option, Value& value, const Choice<Enum> (&choices)[N],
                        const std::string& meaning) {
  std::vector<std::string> names;
  for (const Choice<Enum>& choice : choices) names.emplace_back(choice.name);
  return command
      .add_option_function<std::string>(
          option, [&value, &choices](const std::string& name) { value = *value_named(choices, name); }, meaning)
      ->check(CLI::IsMember(names));
}

}  // namespace vicha::cli
