#include "tasks/host/input_object.h"

#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/json_depth.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "data/manifest/image_names.h"
#include "data/manifest/json_members.h"
#include "tasks/host/shown_input.h"

namespace vicha {

nlohmann::ordered_json input_object(const std::string& input, const std::string& remedy) {
  const auto refuse = [&](const std::string& why, const std::string& what_to_do) -> DataError {
    return {shown_input(input), why, what_to_do};
  };
  if (nests_deeper(input)) {
    throw refuse(fmt::format("lists and objects stand in one another, more than {} deep", kMostJsonLevels), remedy);
  }
  nlohmann::ordered_json json;
  try {
    json = nlohmann::ordered_json::parse(input);
  } catch (const nlohmann::json::exception& error) {
    throw refuse(fmt::format("is not JSON ({})", printable(json_reason(error.what()))), remedy);
  }
  if (!json.is_object()) throw refuse("is not a JSON object", remedy);
  if (const std::string_view number = number_not_kept(input); !number.empty()) {
    throw refuse(fmt::format("holds the number {}, which has no room in 64 bits and would be changed", number),
                 "Write it as a string, in quotation marks");
  }
  if (const std::optional<std::string> key = repeated_key(input)) {
    throw refuse(fmt::format("field \"{}\" stands there twice", printable(*key)), "Leave the one that is right");
  }
  return json;
}

std::string read_picture(const std::filesystem::path& file) {
  if (const std::optional<NameFault> fault = foreign_name(file.string(), file)) {
    throw DataError(file.string(), fault->what, fault->remedy);
  }
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    const std::string hint = missing_file_hint(file);
    throw DataError(file.string(), "does not exist", hint.empty() ? "Check the path" : hint);
  }
  return read_file(file);
}

}  // namespace vicha
