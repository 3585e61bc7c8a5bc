#include "text/table_reader.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "base/error.h"

namespace vicha::text_detail {
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::vector<std::string_view> table_lines(std::string_view table) {
  std::vector<std::string_view> lines = split(table, '\n');
  std::erase_if(lines, [](std::string_view line) { return line.empty() || line.front() == '#'; });
  return lines;
}

std::vector<std::vector<std::string_view>> table_rows(std::string_view table) {
  std::vector<std::vector<std::string_view>> rows;
  for (const std::string_view line : table_lines(table)) rows.push_back(split(line, '\t'));
  return rows;
}

std::vector<WordList> word_lists(std::string_view table) {
  std::vector<WordList> lists;
  for (const std::string_view line : table_lines(table)) {
    if (line.front() == '[') {
      VICHA_ASSERT(line.back() == ']');
      lists.push_back({line.substr(1, line.size() - 2), {}});
      continue;
    }
    VICHA_ASSERT(!lists.empty());
    for (std::string_view entry : split(line, ',')) {
      entry.remove_prefix(std::min(entry.find_first_not_of(' '), entry.size()));
      if (!entry.empty()) lists.back().entries.push_back(entry);
    }
  }
  return lists;
}

std::unordered_map<std::string_view, std::string_view> word_pairs(std::string_view table) {
  std::unordered_map<std::string_view, std::string_view> pairs;
  for (const auto& row : table_rows(table)) {
    VICHA_ASSERT(row.size() == 2);
    pairs.emplace(row[0], row[1]);
  }
  return pairs;
}

char32_t hexadecimal(std::string_view field) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value, 16);
  VICHA_ASSERT(error == std::errc() && end == field.data() + field.size());
  return static_cast<char32_t>(value);
}

}  // namespace vicha::text_detail
