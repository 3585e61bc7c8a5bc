// The values of an enumeration and what recipes, commands and results call them: one table an enumeration,
//
//   inline constexpr Choice<Ranking> kRankingNames[] = {{"matching", Ranking::kMatching}, {"joint", Ranking::kJoint}};
//
// so that text becomes an enumeration where it is read and nothing behind that compares strings.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace vicha {

template <class Enum>
struct Choice {
  std::string_view name;
  Enum value;
};

/// The value must be in the table.
template <class Enum, std::size_t N>
std::string_view name_of(const Choice<Enum> (&choices)[N], Enum value) {
  for (const Choice<Enum>& choice : choices) {
    if (choice.value == value) return choice.name;
  }
  assertion_failed("the value has a name", __FILE__, __LINE__);
}

/// Nothing if the table does not have the name.
template <class Enum, std::size_t N>
std::optional<Enum> value_named(const Choice<Enum> (&choices)[N], std::string_view name) {
  for (const Choice<Enum>& choice : choices) {
    if (choice.name == name) return choice.value;
  }
  return std::nullopt;
}

}  // namespace vicha
