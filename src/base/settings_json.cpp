#include "base/settings_json.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/file_content.h"
#include "base/json_depth.h"
#include "base/json_text.h"
#include "base/printable.h"

namespace vicha {
namespace {

[[noreturn]] void refuse(std::string_view where, const std::string& why, std::string_view remedy) {
  throw DataError(where, "is not a JSON object (" + why + ")", remedy);
}

constexpr std::string_view kFetchAgain = "Put the file there again as it came with the weights";

}  // namespace

nlohmann::json settings_object(std::string_view text, std::string_view where) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) refuse(where, "it is empty", kFetchAgain);
  if (const std::optional<FileContent> content = file_content(text)) {
    refuse(where, "it is " + std::string(content->what), content_remedy(*content, where, kFetchAgain));
  }
  if (nests_deeper(text)) refuse(where, "it is nested too deeply", kFetchAgain);
  try {
    nlohmann::json json = nlohmann::json::parse(text);
    if (!json.is_object()) refuse(where, std::string("it is of the type ") + json.type_name(), kFetchAgain);
    return json;
  } catch (const nlohmann::json::parse_error& error) {
    const std::size_t end = std::min(error.byte, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    refuse(where, "line " + std::to_string(line) + ": " + printable(json_reason(error.what())), kFetchAgain);
  } catch (const nlohmann::json::exception& error) {
    refuse(where, printable(json_reason(error.what())), kFetchAgain);
  }
}

}  // namespace vicha
