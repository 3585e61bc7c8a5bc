#include "text/clip_bpe/character_classes.h"

#include <utf8proc.h>

#include <algorithm>

#include "text/clip_bpe/clean.h"

namespace vicha::text_detail {
namespace {

// U+0345 matches neither OpenAI's class of letters nor its class of the rest, for it folds to the letter iota.
constexpr char32_t kIotaBelow = 0x345;

struct Range {
  char32_t first, last;
  CharacterClass what;
};

constexpr auto kLetter = CharacterClass::kLetter, kNumber = CharacterClass::kNumber;

// Assigned after Unicode 15, which utf8proc 2.8 knows: what \p{L} and \p{N} match in `regex` 2026.11.
constexpr Range kLater[] = {
    {0x558, 0x558, kLetter},     {0x58B, 0x58C, kLetter},     {0x88F, 0x88F, kLetter},     {0xC5C, 0xC5C, kLetter},
    {0xCDC, 0xCDC, kLetter},     {0x1C89, 0x1C8A, kLetter},   {0x208F, 0x208F, kLetter},   {0x209D, 0x209F, kLetter},
    {0xA7CB, 0xA7CF, kLetter},   {0xA7D2, 0xA7D2, kLetter},   {0xA7D4, 0xA7D4, kLetter},   {0xA7DA, 0xA7DD, kLetter},
    {0xA7E2, 0xA7E2, kLetter},   {0xA7F1, 0xA7F1, kLetter},   {0xAB6C, 0xAB6D, kLetter},   {0x105C0, 0x105F3, kLetter},
    {0x107BB, 0x107BF, kLetter}, {0x10940, 0x10959, kLetter}, {0x10D40, 0x10D49, kNumber}, {0x10D4A, 0x10D65, kLetter},
    {0x10D6F, 0x10D85, kLetter}, {0x10EC2, 0x10EC7, kLetter}, {0x10ED9, 0x10EEE, kLetter}, {0x11380, 0x11389, kLetter},
    {0x1138B, 0x1138B, kLetter}, {0x1138E, 0x1138E, kLetter}, {0x11390, 0x113B5, kLetter}, {0x113B7, 0x113B7, kLetter},
    {0x113D1, 0x113D1, kLetter}, {0x113D3, 0x113D3, kLetter}, {0x116D0, 0x116E3, kNumber}, {0x11B0A, 0x11B0A, kLetter},
    {0x11BC0, 0x11BE0, kLetter}, {0x11BF0, 0x11BF9, kNumber}, {0x11DB0, 0x11DDB, kLetter}, {0x11DE0, 0x11DE9, kNumber},
    {0x11DF1, 0x11DF1, kLetter}, {0x1246F, 0x1246F, kNumber}, {0x12475, 0x1247F, kNumber}, {0x12550, 0x12686, kNumber},
    {0x13460, 0x143FA, kLetter}, {0x16100, 0x1611D, kLetter}, {0x16130, 0x16139, kNumber}, {0x16D40, 0x16D6C, kLetter},
    {0x16D70, 0x16D79, kNumber}, {0x16EA0, 0x16EB8, kLetter}, {0x16EBB, 0x16ED3, kLetter}, {0x16FF2, 0x16FF3, kLetter},
    {0x16FF4, 0x16FF6, kNumber}, {0x187F8, 0x187FF, kLetter}, {0x18CD6, 0x18CDA, kLetter}, {0x18CFF, 0x18CFF, kLetter},
    {0x18D09, 0x18D20, kLetter}, {0x18D80, 0x18DF2, kLetter}, {0x18E00, 0x19191, kLetter}, {0x191A0, 0x191D2, kLetter},
    {0x1B123, 0x1B128, kLetter}, {0x1B168, 0x1B168, kLetter}, {0x1CCF0, 0x1CCF9, kNumber}, {0x1D6A6, 0x1D6A6, kLetter},
    {0x1DF1F, 0x1DF24, kLetter}, {0x1DF2B, 0x1DF81, kLetter}, {0x1DF90, 0x1DF96, kLetter}, {0x1DFCD, 0x1DFFF, kLetter},
    {0x1E5D0, 0x1E5ED, kLetter}, {0x1E5F0, 0x1E5F0, kLetter}, {0x1E5F1, 0x1E5FA, kNumber}, {0x1E6C0, 0x1E6DE, kLetter},
    {0x1E6E0, 0x1E6E2, kLetter}, {0x1E6E4, 0x1E6E5, kLetter}, {0x1E6E7, 0x1E6ED, kLetter}, {0x1E6F0, 0x1E6F4, kLetter},
    {0x1E6FE, 0x1E6FF, kLetter}, {0x2B73A, 0x2B73F, kLetter}, {0x2B81E, 0x2B81E, kLetter}, {0x2CEA2, 0x2CEAD, kLetter},
    {0x2EBF0, 0x2EE5D, kLetter}, {0x323B0, 0x33479, kLetter}, {0x3D000, 0x3FC3F, kLetter}};

}  // namespace

CharacterClass character_class(char32_t c) {
  if (is_white_space(c) || c == kIotaBelow) return CharacterClass::kSpace;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) return CharacterClass::kLetter;
  if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) return CharacterClass::kNumber;
  if (category != UTF8PROC_CATEGORY_CN) return CharacterClass::kOther;
  const auto* later = std::ranges::lower_bound(kLater, c, {}, &Range::last);
  return later != std::end(kLater) && c >= later->first ? later->what : CharacterClass::kOther;
}

}  // namespace vicha::text_detail
