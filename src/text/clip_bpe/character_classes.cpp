#include "text/clip_bpe/character_classes.h"

#include <utf8proc.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/clip_bpe/clean.h"
#include "text/table_reader.h"

namespace vicha::embedded {
std::string_view later_characters_tsv();
}

namespace vicha::text_detail {
namespace {

// U+0345 matches neither OpenAI's class of letters nor its class of the rest, for it folds to the letter iota.
constexpr char32_t kIotaBelow = 0x345;

struct Range {
  char32_t first, last;
  CharacterClass what;
};

const std::vector<Range>& later_characters() {
  static const std::vector<Range> ranges = [] {
    std::vector<Range> read;
    for (const auto& row : table_rows(embedded::later_characters_tsv())) {
      VICHA_ASSERT(row.size() == 3 && (row[2] == "letter" || row[2] == "number"));
      read.push_back({hexadecimal(row[0]), hexadecimal(row[1]),
                      row[2] == "letter" ? CharacterClass::kLetter : CharacterClass::kNumber});
    }
    return read;
  }();
  return ranges;
}

}  // namespace

CharacterClass character_class(char32_t c) {
  if (is_white_space(c) || c == kIotaBelow) return CharacterClass::kSpace;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) return CharacterClass::kLetter;
  if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) return CharacterClass::kNumber;
  if (category != UTF8PROC_CATEGORY_CN) return CharacterClass::kOther;
  const auto later = std::ranges::lower_bound(later_characters(), c, {}, &Range::last);
  return later != later_characters().end() && c >= later->first ? later->what : CharacterClass::kOther;
}

}  // namespace vicha::text_detail
