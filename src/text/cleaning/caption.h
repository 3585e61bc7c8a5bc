// Captions and questions as the released models were trained on them (`pre_caption` and `pre_question` of the public
// implementation; tests/golden/library/README.md lists their quirks).
//
// Both lower-case with Unicode's full mappings, delete the characters , . ' ! ? " ( ) * # : ; ~ and turn '-' and '/'
// into spaces. Words are what stands between single U+0020 characters. Bytes that are not UTF-8 become U+FFFD. Neither
// throws on any text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vicha {

/// Also: "<person>" becomes "person"; two or more white-space characters become one space (a single tab stays); line
/// ends are cut on the right, then spaces on both sides; at most `max_words` words are kept.
std::string clean_caption(std::string_view text, std::size_t max_words);

/// Nothing is collapsed, only spaces on the right are cut; empty words count towards `max_words`.
std::string clean_question(std::string_view text, std::size_t max_words);

/// Whether either of them leaves anything but white space.
bool has_words(std::string_view text);

}  // namespace vicha
