// The steps of caption_prose, in their order. Used by prose*.cpp only.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

namespace vicha::text_detail::prose {

/// References, escapes, mojibake and characters.
std::string decoded(std::string_view text);
/// Tags, comments, brackets of bulletin boards.
std::string without_markup(std::string_view text);
/// Word by word: addresses, names, files, numbers, hashtags.
std::string without_addresses(std::string_view text);

/// Of `decoded`: escapes that nobody has read (\n, \u00e9, \xc3\xa9, \303\251, \"), Windows' paths gone.
std::string without_escapes(std::string_view text);
/// Of `decoded`: "a%20dog", "caf%C3%A9", unless it is an address' own.
std::string without_percents(std::string_view text);

/// "sha256:9f86…", "0xdeadbeef", 16 and more hexadecimal digits.
bool is_digest(std::string_view word);
/// Without halves of characters at the end: a mark or a blank in UTF-8 that was read in another encoding and lost its
/// rest ("dogÂ", "dogâ€"). Empty if the word is nothing else.
std::string_view without_halves(std::string_view word);

/// A list of web_words.txt.
const std::unordered_set<std::string_view>& web_words(std::string_view list);

inline bool digit(char c) { return c >= '0' && c <= '9'; }
inline char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
inline bool latin(char c) { return small(c) >= 'a' && small(c) <= 'z'; }
/// Of UTF-8 beyond ASCII every byte counts as a letter's.
inline bool word_byte(char c) { return latin(c) || digit(c) || static_cast<unsigned char>(c) >= 0x80; }
inline bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string small(std::string_view text);

}  // namespace vicha::text_detail::prose
