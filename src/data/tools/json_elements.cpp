#include "data/tools/json_elements.h"

#include <fmt/format.h>

#include <algorithm>
#include <istream>
#include <optional>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "base/json_depth.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "data/manifest/byte_stream.h"
#include "data/manifest/not_numbers.h"
#include "data/manifest/record_reader.h"

namespace vicha {

void for_each_element(const fs::path& file, const SeeElement& see) {
  std::string text = read_text_file(file, kMostJsonBytes);
  if (std::optional<MendedJson> mended;
      text.find("NaN") != std::string::npos || text.find("Infinity") != std::string::npos) {
    if ((mended = without_not_numbers(text))) text = std::move(mended->text);
  }
  std::string top, sub;
  std::int64_t number = 0;
  using Parsed = nlohmann::json;  // an ordered one looks through all keys before it adds one
  const auto tell = [&](const std::string& key, std::int64_t which, const Parsed& value) {
    nlohmann::ordered_json element(value);
    see(top, key, which, element);
  };
  std::unordered_set<std::string> tops;
  std::vector<std::unordered_set<std::string>> fields;  // of the objects that stand open, from the third level on
  const auto see_field = [&](int depth, const std::string& key) {
    const auto level = static_cast<std::size_t>(depth - 2);
    if (fields.size() <= level) fields.resize(level + 1);
    if (fields[level].insert(key).second) return;
    throw DataError(
        depth == 2 ? fmt::format("{}, {}", file.string(), top) : fmt::format("{}, {} {}", file.string(), top, number),
        fmt::format("field \"{}\" stands there twice", printable(key)), "Leave the one that is right");
  };
  const auto event = [&](int depth, Parsed::parse_event_t what, Parsed& value) {
    using Event = Parsed::parse_event_t;
    if (what == Event::object_start && depth > 0) {
      if (fields.size() > static_cast<std::size_t>(depth - 1)) fields[static_cast<std::size_t>(depth - 1)].clear();
    } else if (what == Event::key && depth > 2) {
      see_field(depth, value.get_ref<const std::string&>());
    } else if (what == Event::key && depth == 1) {
      top = value.get<std::string>();
      if (!tops.insert(top).second) {
        throw DataError(file.string(), fmt::format("key \"{}\" stands there twice", printable(top)),
                        "Leave the one that is right, or join what they hold");
      }
      sub.clear();
      number = 0;
    } else if (what == Event::key && depth == 2) {
      sub = value.get<std::string>();
      see_field(depth, sub);
    } else if (depth == 2 && (what == Event::object_end || what == Event::array_end || what == Event::value)) {
      tell(sub, number++, value);
      return false;
    } else if (depth == 1 && what == Event::value) {
      tell("", -1, value);
      return false;
    } else if (depth == 1 && (what == Event::object_end || what == Event::array_end)) {
      if (number == 0) tell("", -1, Parsed());
      return false;
    }
    return true;
  };
  if (nests_deeper(text)) {
    throw DataError(file.string(),
                    fmt::format("lists and objects stand in one another, more than {} deep", kMostJsonLevels));
  }
  try {
    [[maybe_unused]] const Parsed whole = Parsed::parse(text, event);
  } catch (const Parsed::out_of_range& error) {  // 1e999
    throw DataError(file.string(), "cannot be read: " + json_reason(error.what()), "Correct the number");
  } catch (const Parsed::parse_error& error) {
    const std::string reason = json_reason(error.what());
    const std::size_t byte = std::min(error.byte, text.size());
    throw DataError(fmt::format("{} (line {})", file.string(),
                                1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(byte), '\n')),
                    fmt::format("not JSON at byte {} of the file: {}", error.byte, reason), json_remedy(text, reason));
  }
}

void for_each_list(const std::filesystem::path& file,
                   const std::function<void(std::int64_t number, const nlohmann::json& element)>& see) {
  using Parsed = nlohmann::json;
  using Event = Parsed::parse_event_t;
  ByteStream bytes(file);
  std::istream stream(&bytes);
  std::int64_t number = 0;
  const auto event = [&](int depth, Event what, Parsed& value) {
    if (depth >= 2 && (what == Event::object_start || what == Event::array_start)) return false;
    if (depth == 1 && (what == Event::array_end || what == Event::object_end || what == Event::value)) {
      see(number++, value);
      return false;
    }
    return true;
  };
  try {
    [[maybe_unused]] const Parsed whole = Parsed::parse(stream, event);
  } catch (const Parsed::out_of_range& error) {  // 1e999
    throw DataError(fmt::format("{} (line {})", file.string(), bytes.line()),
                    "cannot be read: " + json_reason(error.what()), "Correct the number");
  } catch (const Parsed::parse_error& error) {
    const std::string reason = json_reason(error.what());
    throw DataError(fmt::format("{} (line {})", file.string(), bytes.line()),
                    fmt::format("not JSON at byte {} of the file: {}", error.byte, reason), json_remedy("", reason));
  }
}

}  // namespace vicha
