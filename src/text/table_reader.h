// Tables of words and characters: files beside the sources (*.txt, *.tsv), which the build embeds (cmake/Embed.cmake).
// In all of them a line that starts with '#' is a comment. Used inside this room only.
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

namespace vicha::text_detail {

/// The parts between the separators, empty ones too.
std::vector<std::string_view> split(std::string_view text, char separator);

/// The lines that say something, as they are.
std::vector<std::string_view> table_lines(std::string_view table);

/// The fields of each line, parted by tabs.
std::vector<std::vector<std::string_view>> table_rows(std::string_view table);

/// Words, or phrases, under a heading: "[name]", then entries parted by commas and ends of lines.
struct WordList {
  std::string_view name;
  std::vector<std::string_view> entries;
};
std::vector<WordList> word_lists(std::string_view table);

/// A table of two columns, as key and value.
std::unordered_map<std::string_view, std::string_view> word_pairs(std::string_view table);

/// A whole field as a hexadecimal number.
char32_t hexadecimal(std::string_view field);

}  // namespace vicha::text_detail
