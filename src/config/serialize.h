// Recipes: TOML in and out of described structs (config/describe.h), overrides, and the generated reference.
//
//   PretrainOptions options;                                  // the defaults
//   load_recipe(options, "recipes/demo.toml");                // throws DataError naming file, line and key
//   apply_overrides(options, {"itc.queue_size=4096"});        // throws UsageError
//   write_file_atomic(folder / "recipe.toml", to_toml(options));
//
// A recipe may name another one, `base = "vicha-base.toml"` (relative to itself): that one's values are applied
// first, so a recipe states only what differs. Where a function that applies values throws, the options may have been
// changed in part.
#pragma once

#include <concepts>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/describe.h"

namespace vicha {

class OptionsRef;

/// A struct whose sections are only known at run time says itself what its defaults are: the same sections, each with
/// its default values.
template <class Options>
concept KnowsDefaults = requires(const Options& options) {
  { options.defaults() } -> std::same_as<Options>;
};

template <class Options>
concept Describable = !std::same_as<Options, OptionsRef> && requires(Options & options, Visitor& visitor) {
  options.describe(visitor);
}
&&(KnowsDefaults<Options> || std::default_initializable<Options>);

/// Any described struct, not owned. It keeps the code behind this header out of templates.
class OptionsRef {
 public:
  template <Describable Options>
  OptionsRef(Options& options)  // NOLINT(google-explicit-constructor): made to be passed a struct
      : object_(&options),
        visit_([](void* object, Visitor& v) { static_cast<Options*>(object)->describe(v); }),
        visit_defaults_([](const void* object, Visitor& v) {
          if constexpr (KnowsDefaults<Options>) {
            static_cast<const Options*>(object)->defaults().describe(v);
          } else {
            Options().describe(v);
          }
        }) {}

  void describe(Visitor& visitor) const { visit_(object_, visitor); }
  void describe_defaults(Visitor& visitor) const { visit_defaults_(object_, visitor); }

 private:
  friend class OptionsView;
  void* object_;
  void (*visit_)(void*, Visitor&);
  void (*visit_defaults_)(const void*, Visitor&);
};

/// The same, only read.
class OptionsView {
 public:
  /// `describe` wants a mutable struct because readers and writers share it; the visitors that get a view only read.
  template <Describable Options>
  OptionsView(const Options& options)  // NOLINT(google-explicit-constructor)
      : ref_(const_cast<Options&>(options)) {}
  OptionsView(const OptionsRef& ref) : ref_(ref) {}  // NOLINT(google-explicit-constructor)

  void describe(Visitor& visitor) const { ref_.describe(visitor); }
  void describe_defaults(Visitor& visitor) const { ref_.describe_defaults(visitor); }

 private:
  OptionsRef ref_;
};

/// Applies TOML text; `file` names it in errors and is where a `base` is looked for.
/// Errors (DataError): bad syntax, an unknown key (with the nearest known one), a value of the wrong type, out of its
/// range or not among its choices. Integers are accepted where real numbers are expected.
void apply_toml(OptionsRef options, std::string_view text, const std::filesystem::path& file);

/// Applies a recipe file, its base first. Also DataError: a file that cannot be read, recipes that are each other's
/// base.
void load_recipe(OptionsRef options, const std::filesystem::path& file);

/// The string that a recipe file, or else its base, gives a key at its root; nothing where neither names it or it is no
/// string. Throws DataError for a file that cannot be read.
std::optional<std::string> root_string(const std::filesystem::path& file, std::string_view key);

/// Applies "section.key=value", the value in TOML syntax; a string needs no quotes. Errors as above, as UsageError.
void apply_override(OptionsRef options, std::string_view assignment);
void apply_overrides(OptionsRef options, const std::vector<std::string>& assignments);

struct TomlStyle {
  bool only_changes = false;  ///< leave out values that equal the defaults
  bool comments = false;      ///< the meaning, unit and allowed values above each key
};
/// TOML that `apply_toml` reads back to the same values.
std::string to_toml(OptionsView options, TomlStyle style = {});

/// The values as a JSON object, sections nested, keys in the order of the description. Infinities become strings.
std::string to_json(OptionsView options, int indent = 2);

/// Reference in Markdown: a heading and a table (key, type, default, unit, allowed, meaning) a section.
std::string to_markdown(OptionsView options, std::string_view title);

/// A section or key that had another name in older recipes (`Visitor::moved`); full paths.
struct MovedKey {
  std::string from, to;
};
/// Those that reading takes, in the order of the description.
std::vector<MovedKey> moved_keys(OptionsView options);

}  // namespace vicha
