// TOML as it was read, before it is applied to options. Used inside this room only: toml++ costs seconds a file.
#pragma once

#include <fmt/format.h>

#include <stdexcept>

namespace vicha::config_detail {
/// toml++ takes some wrong files for impossible ("[;key]"): it asserts, and without assertions anything may happen.
struct TomlFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};
[[noreturn]] inline void toml_fault() { throw TomlFault("the text is not TOML"); }
}  // namespace vicha::config_detail

#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expr) ((expr) ? static_cast<void>(0) : ::vicha::config_detail::toml_fault())
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "config/serialize.h"

namespace vicha::config_detail {

// Where the values come from: a file (errors name its lines) or one --set assignment.
class Origin {
 public:
  static Origin file(const std::filesystem::path& path) { return Origin(path.string(), std::nullopt); }
  static Origin assignment(std::string_view text, std::string_view raw_value) {
    return Origin(fmt::format("--set {}", text), std::string(raw_value));
  }

  [[noreturn]] void fail(const toml::source_region& at, std::string_view what, std::string_view remedy = "") const {
    if (!raw_value_) throw DataError(name(at), what, remedy);
    throw UsageError(fmt::format("{}: {}{}{}", name_, what, remedy.empty() ? "" : ". ", remedy));
  }
  /// What an error there begins with, for the log.
  std::string name(const toml::source_region& at) const {
    return raw_value_ ? name_ : fmt::format("{}:{}", name_, at.begin.line);
  }
  /// The text behind `=` of an assignment, which a string option takes as it stands.
  const std::optional<std::string>& raw_value() const { return raw_value_; }

 private:
  Origin(std::string name, std::optional<std::string> raw_value)
      : name_(std::move(name)), raw_value_(std::move(raw_value)) {}

  std::string name_;
  std::optional<std::string> raw_value_;
};

/// "the integer 3", "a table": what stands there in place of what was wanted.
std::string describe_node(const toml::node& node);

/// Moves what stands under an old name to the new one, with a line in the log (debug). Fails where a key is given
/// under both.
void rename_moved(toml::table& root, const std::vector<MovedKey>& moved, const Origin& origin);

}  // namespace vicha::config_detail
