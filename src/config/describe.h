// A described struct: one `describe` member names every option once, with its unit and meaning. That table drives
// TOML parsing, `--set`, `vicha config show`, help and docs/config.md (config/serialize.h does the driving).
//
//   struct ItcOptions {
//     std::int64_t queue_size = 65536;
//     void describe(Visitor& v) {
//       v.field({"queue_size", "features", "Momentum features kept as negatives"}, queue_size);
//     }
//   };
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/choice.h"

namespace vicha {

struct Field {
  std::string_view key;
  std::string_view unit = "";                  ///< "" where there is none
  std::string_view meaning = "";               ///< one sentence
  std::optional<double> min = {}, max = {};    ///< allowed range of numbers, inclusive; empty: no limit
  std::vector<std::string_view> choices = {};  ///< allowed values of a string; empty: any
};

class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual void field(const Field& about, bool& value) = 0;
  virtual void field(const Field& about, std::int64_t& value) = 0;
  virtual void field(const Field& about, double& value) = 0;
  virtual void field(const Field& about, std::string& value) = 0;
  virtual void field(const Field& about, std::vector<double>& value) = 0;
  virtual void field(const Field& about, std::vector<std::string>& value) = 0;

  /// An enumeration, by the names of its values: `v.choice({"kind", "", "Curve"}, kind, kScheduleKindNames)`, or the
  /// table in braces. Recipes and docs know it as a string that must be one of the names.
  template <class Enum, std::size_t N>
  void choice(const Field& about, Enum& value, const Choice<Enum> (&choices)[N]) {
    Field field = about;
    field.choices.clear();
    for (const Choice<Enum>& choice : choices) field.choices.push_back(choice.name);
    std::array<Choice<Enum>, N> table;
    std::copy_n(choices, N, table.begin());
    named(field, name_of(choices, value), [&value, table](std::string_view name) {
      for (const Choice<Enum>& choice : table) {
        if (choice.name == name) value = choice.value;
      }
    });
  }

  /// A nested table: `v.section("itc", "Image–text contrast", itc)`.
  template <class Options>
  void section(std::string_view key, std::string_view meaning, Options& options) {
    begin_section(key, meaning);
    options.describe(*this);
    end_section();
  }

  /// The section or key `to` was called `from` in older recipes: reading takes the old name for the new one, writing
  /// and docs know the new one only. Both are full paths from the recipe's root, wherever this is said, and `from` is
  /// described no more: `v.moved("model.mae_decoder", "mae.decoder")`. Of no effect where `to` is not described.
  virtual void moved(std::string_view /*from*/, std::string_view /*to*/) {}

 protected:
  /// An option that stands at `name` and may be `set` to another of `about.choices`, for as long as its struct lives.
  virtual void named(const Field& about, std::string_view name, std::function<void(std::string_view)> set) = 0;
  virtual void begin_section(std::string_view key, std::string_view meaning) = 0;
  virtual void end_section() = 0;
};

}  // namespace vicha
