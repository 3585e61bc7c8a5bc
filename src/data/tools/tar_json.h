// The JSON beside a sample's picture, and captions in it.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "data/tools/tar_lost.h"

namespace vicha {

/// Python's json writes NaN and Infinity, which are no JSON: they cost the field that holds them, not the sample.
class SampleJson {
 public:
  /// Of a field's value. Values are copied and written by recursion; img2dataset's are flat.
  static constexpr int kMostLevels = 15;

  /// Of the content of a member. What is nested deeper than kMostLevels is left out (`is_cut`).
  explicit SampleJson(std::string text);

  /// Why it cannot be read; empty if it can.
  const std::string& fault() const { return fault_; }
  /// kBrokenJson or kEncoding, where there is a fault.
  LostCause cause() const { return cause_; }

  struct Texts {
    std::vector<std::string> found = {};
    bool list = false;     ///< they stand in a list, or in objects of one
    bool nan = false;      ///< NaN or Infinity stands in a text's place
    bool no_text = false;  ///< so does a number, a truth value or an object
  };
  /// The texts of a field: "caption", or by the names on the way, "meta.title", "sentences.raw" (of all objects in the
  /// list), "captions.0" (the list's first). A name may hold dots itself. "": the whole.
  Texts texts(std::string_view path) const;

  /// A field of the outermost object; null if it is not there.
  const nlohmann::json* field(const std::string& name) const;
  /// Whether parts of it were left out.
  bool is_cut(const std::string& name) const;
  /// Whether NaN or Infinity stands in a value that `field` gave.
  static bool holds_nan(const nlohmann::json& value);
  /// Adds the paths of all fields that hold text.
  void list_fields(TarInventory& inventory) const;

 private:
  nlohmann::json value_;
  std::set<std::string> cut_;
  std::string fault_;
  LostCause cause_ = LostCause::kBrokenJson;
};

}  // namespace vicha
