#include <cstdint>

#include "text/cleaning/prose_steps.h"
#include "text/utf8.h"

namespace vicha::text_detail::prose {
namespace {

int hex(char c) {
  if (digit(c)) return c - '0';
  return small(c) >= 'a' && small(c) <= 'f' ? small(c) - 'a' + 10 : -1;
}

/// The number of `digits` hexadecimal digits at the front, or -1.
std::int64_t hex_number(std::string_view text, std::size_t digits) {
  if (text.size() < digits) return -1;
  std::int64_t value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (hex(text[i]) < 0) return -1;
    value = value * 16 + hex(text[i]);
  }
  return value;
}

void append_point(std::string& out, std::int64_t c) {
  const bool impossible = c <= 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000);
  append_utf8(out, impossible ? 0xFFFD : static_cast<char32_t>(c));
}

/// Whether a word with a backslash is the path of a file in Windows: "C:\\Users\\me", "pictures\\new.jpg".
bool is_path(std::string_view word) {
  const std::size_t slash = word.find('\\');
  if (slash >= 2 && word[slash - 1] == ':' && latin(word[slash - 2]) && (slash == 2 || !word_byte(word[slash - 3]))) {
    return true;
  }
  const std::size_t point = word.find_last_of('.');
  if (point == word.npos) return false;
  std::size_t end = point + 1;
  while (end < word.size() && word_byte(word[end])) ++end;
  return web_words("extension").contains(small(word.substr(point + 1, end - point - 1)));
}

}  // namespace

/// Escapes that nobody has read: \n, \u00e9, \xc3\xa9, \303\251, \".
std::string without_escapes(std::string_view text) {
  std::string out;
  std::size_t word_end = 0;  // of the word that was looked at for a path
  for (std::size_t at = 0; at < text.size();) {
    if (at >= word_end && !blank(text[at])) {
      word_end = at;
      bool escapes = false;
      for (; word_end < text.size() && !blank(text[word_end]); ++word_end) escapes = escapes || text[word_end] == '\\';
      if (escapes && is_path(text.substr(at, word_end - at))) {
        out += ',';
        at = word_end;
        continue;
      }
    }
    if (text[at] != '\\') {
      out += text[at++];
      continue;
    }
    while (at < text.size() && text[at] == '\\') ++at;  // escaped once more, or twice
    const std::string_view rest = text.substr(at);
    const char c = rest.empty() ? ' ' : rest[0];
    if (const std::int64_t unit = c == 'u' ? hex_number(rest.substr(1), 4) : -1; unit >= 0) {
      at += 5;
      std::size_t next = at;
      while (next < text.size() && text[next] == '\\') ++next;
      const std::int64_t low =
          next > at && next < text.size() && text[next] == 'u' ? hex_number(text.substr(next + 1), 4) : -1;
      if (unit >= 0xD800 && unit < 0xDC00 && low >= 0xDC00 && low < 0xE000) {
        append_point(out, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
        at = next + 5;
      } else {
        append_point(out, unit);
      }
    } else if (const std::int64_t point = c == 'U' ? hex_number(rest.substr(1), 8) : -1; point >= 0) {
      append_point(out, point);
      at += 9;
    } else if (const std::int64_t byte = c == 'x' ? hex_number(rest.substr(1), 2) : -1; byte > 0) {
      append_point(out, byte);  // bytes of UTF-8 then read like mojibake, which is mended
      at += 3;
    } else if (rest.size() >= 3 && (c == '2' || c == '3') && digit(rest[1]) && digit(rest[2])) {
      append_point(out, ((c - '0') << 6) + ((rest[1] - '0') << 3) + (rest[2] - '0'));
      at += 3;
    } else if (c == 'n' || c == 'r') {
      out += '\n';
      ++at;
    } else if (c == 't' || c == 'f' || c == 'v') {
      out += ' ';
      ++at;
    } else if (c == 'N' && (rest.size() == 1 || !word_byte(rest[1]))) {
      out += ' ';  // databases' nothing
      ++at;
    } else if (word_byte(c) || blank(c)) {
      out += ' ';
    }  // else: an escaped mark, which comes next
  }
  return out;
}

/// "a%20dog", "caf%C3%A9", unless it is an address' own.
std::string without_percents(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && !blank(text[end])) ++end;
    const std::string_view word = text.substr(at, end - at);
    bool told = word.find("%20") != word.npos;
    for (std::size_t i = word.find('%'); !told && i < word.size(); i = word.find('%', i + 1)) {
      told = hex_number(word.substr(i + 1), 2) >= 0xC2 && word.size() > i + 3 && word[i + 3] == '%';
    }
    if (told && word.find("://") == word.npos && word.find('/') == word.npos) {
      for (std::size_t i = 0; i < word.size();) {
        const std::int64_t byte = word[i] == '%' ? hex_number(word.substr(i + 1), 2) : -1;
        out += byte > 0 ? static_cast<char>(byte) : word[i];
        i += byte > 0 ? 3 : 1;
      }
    } else {
      out += word;
    }
    at = end;
    if (at < text.size()) out += text[at++];
  }
  return out;
}

}  // namespace vicha::text_detail::prose
