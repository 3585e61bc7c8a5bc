#include "text/cleaning/mojibake_tables.h"

#include <algorithm>

#include "base/error.h"
#include "text/table_reader.h"

namespace vicha::embedded {
std::string_view mojibake_sets_tsv();
std::string_view mojibake_patterns_txt();
std::string_view code_pages_tsv();
}  // namespace vicha::embedded

namespace vicha::text_detail {

std::map<std::string, std::string, std::less<>> mojibake_sets() {
  std::map<std::string, std::string, std::less<>> sets;
  for (const auto& row : table_rows(embedded::mojibake_sets_tsv())) {
    VICHA_ASSERT(row.size() == 2);
    sets[std::string(row[0])] += row[1];
  }
  return sets;
}

std::vector<std::string_view> mojibake_patterns() { return table_lines(embedded::mojibake_patterns_txt()); }

std::vector<Charmap> charmaps() {
  constexpr std::size_t kHighBytes = 0x80;
  const auto rows = table_rows(embedded::code_pages_tsv());
  VICHA_ASSERT(rows.size() == 1 + kHighBytes);
  std::vector<Charmap> maps;
  for (std::size_t column = 1; column < rows[0].size(); ++column) {
    const std::string_view name = rows[0][column];
    Charmap& map = maps.emplace_back(Charmap{.name = name, .sloppy = name.starts_with("sloppy-"), .high = {}});
    for (std::size_t i = 0; i < kHighBytes; ++i) {
      const auto& row = rows[1 + i];
      VICHA_ASSERT(row.size() == rows[0].size() && hexadecimal(row[0]) == 0x80 + i);
      map.high.push_back(static_cast<char16_t>(hexadecimal(row[column])));
    }
  }
  return maps;
}

}  // namespace vicha::text_detail
