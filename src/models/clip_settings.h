// Settings that come with a model's weights, read key by key: each is read, held against what is known, refused by name
// where it asks for what is not built here, or known to change nothing. The keys that nobody asked for are named in a
// warning. Used for the files beside CLIP's weights.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

class ClipSettings {
 public:
  /// `path`: how messages call the object, "model_cfg.text_cfg". A missing object is one without keys. Both must
  /// outlive this. Throws DataError naming `where` if it is no object.
  ClipSettings(const nlohmann::json& object, std::string path, std::string_view where);

  /// Nothing if the key is missing or null. Throws DataError if it has a value of another kind.
  std::optional<std::int64_t> whole(const char* key);
  std::optional<double> number(const char* key);
  std::optional<bool> flag(const char* key);
  std::optional<std::string> text(const char* key);
  /// Three numbers, one a colour; a number alone stands for all three.
  std::optional<std::vector<double>> colours(const char* key);
  /// The side of a square: 224 or [224, 224]. Throws DataError for a rectangle.
  std::optional<std::int64_t> side(const char* key);
  /// A member object; one without keys if it is missing.
  ClipSettings inside(const char* key);
  /// The raw value, or null.
  const nlohmann::json& value(const char* key);
  bool has(const char* key) const;

  /// A size that the weights' shapes have told already. Throws DataError if it is another.
  void expect(const char* key, std::int64_t told);
  void expect_side(const char* key, std::int64_t told);
  /// What is not built here: throws DataError unless the keys are missing, null, false, "" or empty.
  void unset(std::initializer_list<const char*> keys);
  /// The same, unless the value is one of these.
  void only(const char* key, std::initializer_list<nlohmann::json> built);
  /// Keys that change nothing of what is computed here.
  void pass(std::initializer_list<const char*> keys);

  /// Says which keys nobody asked for, by one warning.
  void warn_of_rest() const;

  /// "open_clip_config.json: 'text_cfg.pool_type' is "none", …": throws DataError.
  [[noreturn]] void refuse(const char* key, const std::string& instead = {}) const;

 private:
  const nlohmann::json* find(const char* key);  ///< null pointer: missing or null
  [[noreturn]] void wrong_kind(const char* key, const char* wanted) const;
  std::string name(const char* key) const;

  const nlohmann::json& object_;
  std::string path_, where_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace vicha
