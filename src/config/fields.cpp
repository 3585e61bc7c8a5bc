#include "config/fields.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "base/error.h"

namespace vicha::config_detail {
namespace {

class Flattener final : public Visitor {
 public:
  explicit Flattener(Flat& flat) : flat_(flat) { flat_.sections.push_back({"", ""}); }

  void field(const Field& about, bool& value) override { add(about, value); }
  void field(const Field& about, std::int64_t& value) override { add(about, value); }
  void field(const Field& about, double& value) override { add(about, value); }
  void field(const Field& about, std::string& value) override { add(about, value); }
  void field(const Field& about, std::vector<double>& value) override { add(about, value); }
  void field(const Field& about, std::vector<std::string>& value) override { add(about, value); }
  void moved(std::string_view from, std::string_view to) override {
    moved_.push_back({std::string(from), std::string(to)});
  }

  /// To be called once, when all is described.
  void finish() {
    for (MovedKey& moved : moved_) {
      const bool old_name_is_free = !paths_.contains(moved.from);
      VICHA_ASSERT(old_name_is_free);
      if (paths_.contains(moved.to)) flat_.moved.push_back(std::move(moved));
    }
  }

 protected:
  void named(const Field& about, std::string_view name, std::function<void(std::string_view)> /*set*/) override {
    add(about, std::string(name));
  }
  void begin_section(std::string_view key, std::string_view meaning) override {
    std::string path = join_path(flat_.sections[open_.back()].path, key);
    claim(path);
    open_.push_back(flat_.sections.size());
    flat_.sections.push_back({std::move(path), std::string(meaning)});
  }
  void end_section() override { open_.pop_back(); }

 private:
  void add(const Field& about, const Value& value) {
    std::string path = join_path(flat_.sections[open_.back()].path, about.key);
    claim(path);
    flat_.fields.push_back({open_.back(), std::move(path), std::string(about.key), std::string(about.unit),
                            std::string(about.meaning), allowed_values(about), value});
  }
  void claim(const std::string& path) {
    const bool key_is_new = paths_.insert(path).second;
    VICHA_ASSERT(key_is_new);
  }

  Flat& flat_;
  std::vector<std::size_t> open_ = {0};
  std::set<std::string> paths_;
  std::vector<MovedKey> moved_;
};

// The shortest text that reads back as the same number, recognisable as a TOML float.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

template <class Items, class Print>
std::string list_text(const Items& items, Print print) {
  std::string text = "[";
  for (const auto& item : items) text.append(text.size() > 1 ? ", " : "").append(print(item));
  return text + "]";
}

}  // namespace

Flat flatten(OptionsView options) {
  Flat flat;
  Flattener visitor(flat);
  options.describe(visitor);
  visitor.finish();
  return flat;
}

Flat flatten_defaults(OptionsView options) {
  Flat flat;
  Flattener visitor(flat);
  options.describe_defaults(visitor);
  visitor.finish();
  return flat;
}

std::string allowed_values(const Field& about) {
  if (!about.choices.empty()) {
    std::string text;
    for (const auto choice : about.choices) text.append(text.empty() ? "" : ", ").append(toml_string(choice));
    return text;
  }
  if (about.min && about.max) return fmt::format("from {} to {}", *about.min, *about.max);
  if (about.min) return fmt::format("at least {}", *about.min);
  if (about.max) return fmt::format("at most {}", *about.max);
  return "";
}

std::string_view type_name(const Value& value) {
  constexpr std::string_view kNames[] = {"boolean", "integer",         "number",
                                         "string",  "list of numbers", "list of strings"};
  return kNames[value.index()];
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string toml_value(const Value& value) {
  switch (value.index()) {
    case 0:
      return std::get<bool>(value) ? "true" : "false";
    case 1:
      return std::to_string(std::get<std::int64_t>(value));
    case 2:
      return float_text(std::get<double>(value));
    case 3:
      return toml_string(std::get<std::string>(value));
    case 4:
      return list_text(std::get<std::vector<double>>(value), float_text);
    default:
      return list_text(std::get<std::vector<std::string>>(value), toml_string);
  }
}

std::string join_path(std::string_view section, std::string_view key) {
  return section.empty() ? std::string(key) : fmt::format("{}.{}", section, key);
}

}  // namespace vicha::config_detail
