#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <utf8proc.h>

#include <algorithm>

#include "base/error.h"
#include "text/cleaning/html_entities.h"
#include "text/cleaning/mojibake.h"
#include "text/cleaning/prose_steps.h"
#include "text/utf8.h"

namespace vicha::text_detail::prose {
namespace {

constexpr int kRounds = 8;  // "&amp;amp;…"; what was escaped more often is taken for a name without meaning
constexpr std::size_t kLongestName = 32;

/// References as browsers read them, and those that a tokenizer has cut up or a cleaner has robbed of their "&".
class References {
 public:
  explicit References(std::string_view text) : text_(text) {}

  /// The text with every reference in its proper form; names that are none are gone.
  std::string run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '&') {
        ampersand();
      } else if (behind_reference_ == at_ || !may_be_robbed(c) || !robbed()) {
        do {
          out_ += text_[at_++];  // a word at a time, so that only its begin is looked at
        } while (latin(c) && at_ < text_.size() && latin(text_[at_]));
      }
    }
    return std::move(out_);
  }

 private:
  std::size_t behind_blanks(std::size_t at) const {
    while (at < text_.size() && blank(text_[at])) ++at;
    return at;
  }
  std::string_view name_at(std::size_t at) const {
    std::size_t end = at;
    while (end < text_.size() && end - at < kLongestName && (latin(text_[end]) || digit(text_[end]))) ++end;
    return text_.substr(at, end - at);
  }

  bool may_be_robbed(char c) const { return c == '#' || (latin(c) && (at_ == 0 || blank(text_[at_ - 1]))); }

  void ampersand() {
    const std::size_t spaced = behind_blanks(at_ + 1);
    const bool number = spaced < text_.size() && text_[spaced] == '#';
    const std::size_t start = number ? behind_blanks(spaced + 1) : spaced;
    const std::string_view name = name_at(start);
    const std::size_t end = start + name.size(), semicolon = behind_blanks(end);
    const bool closed = semicolon < text_.size() && text_[semicolon] == ';';
    const bool apart = spaced > at_ + 1 || start > spaced + 1 || semicolon > end;
    if (name.empty() || !closed) return plain();
    if (apart && !number && !web_words("reference").contains(name)) return plain();
    if (number) {
      out_.append("&#").append(name).append(";");
    } else if (find_html_entity(name) != nullptr) {
      out_.append("&").append(name).append(";");
    } else if (find_html_entity(small(name)) != nullptr) {
      out_.append("&").append(small(name)).append(";");
    } else if (bare_prefix(name)) {
      return plain();
    } else {
      out_ += ' ';
    }
    at_ = semicolon + 1;
    while (name == "amp" && text_.substr(at_).starts_with("amp;")) at_ += 4;  // escaped again and again
    behind_reference_ = at_;
  }

  // "&ampcats;" is "&amp" and "cats;".
  static bool bare_prefix(std::string_view name) {
    for (std::size_t length = 2; length <= std::min<std::size_t>(name.size(), 6); ++length) {
      const HtmlEntity* found = find_html_entity(name.substr(0, length));
      if (found != nullptr && found->bare) return true;
    }
    return false;
  }

  void plain() { out_ += text_[at_++]; }

  // "amp;", "#39;"
  bool robbed() {
    const bool number = text_[at_] == '#';
    const std::string_view name = name_at(at_ + number);
    const std::size_t end = at_ + number + name.size();
    if (end >= text_.size() || text_[end] != ';') return false;
    if (number) {
      constexpr std::string_view kQuotesAndDashes[] = {"34",   "38",   "39",   "039",  "60",   "62",   "160", "8211",
                                                       "8212", "8216", "8217", "8220", "8221", "8230", "x27", "x22"};
      if (std::ranges::find(kQuotesAndDashes, small(name)) == std::end(kQuotesAndDashes)) return false;
    } else if (!web_words("reference").contains(name)) {
      return false;
    }
    out_.append(number ? "&#" : "&").append(name).append(";");
    at_ = end + 1;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0, behind_reference_ = std::string_view::npos;
  std::string out_;
};

const icu::Normalizer2& normal_form(bool compatible) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* found =
      compatible ? icu::Normalizer2::getNFKCInstance(status) : icu::Normalizer2::getNFCInstance(status);
  VICHA_ASSERT(U_SUCCESS(status));
  return *found;
}

std::string in_normal_form(std::string_view text, bool compatible) {
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode status = U_ZERO_ERROR;
  normal_form(compatible)
      .normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())), sink, nullptr, status);
  VICHA_ASSERT(U_SUCCESS(status));
  return out;
}

bool in(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

/// Letters and digits that are others in a certain form: full width, of mathematics, in circles, ligatures.
bool is_formed(char32_t c) {
  return in(c, 0xFF00, 0xFFEF) || in(c, 0x1D400, 0x1D7FF) || in(c, 0x2460, 0x24FF) || in(c, 0xFB00, 0xFB06) ||
         in(c, 0x1F130, 0x1F149) || c == 0x3000 || c == 0x132 || c == 0x133;
}
bool is_invisible(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_CF || in(c, 0xFE00, 0xFE0F) ||
         in(c, 0xE0000, 0xE01EF) || in(c, 0x180B, 0x180E) || c == 0x34F || c == 0x115F || c == 0x1160 || c == 0x3164;
}
bool is_apostrophe(char32_t c) {
  return c == 0x2018 || c == 0x2019 || c == 0x201B || c == 0x2032 || c == 0x02BC || c == 0x02B9 || c == 0xB4;
}
bool is_quote(char32_t c) {
  return in(c, 0x201C, 0x201F) || c == 0x201A || c == 0x2033 || c == 0xAB || c == 0xBB || c == 0x2039 || c == 0x203A;
}
/// Signs that a word carries and that part no phrase: ™ ® © ℠, fractions.
bool is_ornament(char32_t c) {
  return c == 0x2122 || c == 0x2120 || c == 0xAE || c == 0xA9 || in(c, 0xBC, 0xBE) || in(c, 0x2150, 0x215F);
}
bool is_raised(char32_t c) {
  return c == 0xB2 || c == 0xB3 || c == 0xB9 || c == 0xAA || c == 0xBA || in(c, 0x2070, 0x209C);
}

std::string plain_characters(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t c = next_code_point(text, at);
    if (c < 0x80) {
      const bool between_words = !out.empty() && word_byte(out.back()) && at < text.size() && word_byte(text[at]);
      if (c == '`') {
        out += between_words ? '\'' : '"';
      } else {
        out += (c < 0x20 && !blank(static_cast<char>(c))) || c == 0x7F ? ' ' : static_cast<char>(c);
      }
    } else if (c == 0x85 || c == 0x2028 || c == 0x2029) {
      out += '\n';
    } else if (c < 0xA0 || is_space(c) || is_ornament(c)) {
      out += ' ';
    } else if (is_apostrophe(c)) {
      out += '\'';
    } else if (is_quote(c)) {
      out += '"';
    } else if (c == 0x20E3) {  // of a digit that is a picture
      if (!out.empty() && digit(out.back())) out.back() = ' ';
    } else if (is_formed(c)) {
      out += in_normal_form(text.substr(start, at - start), true);
    } else if (c == 0xE3 && at < text.size()) {
      // "Ã©" in small letters, as cleaned captions have it.
      std::size_t behind = at;
      const char32_t next = next_code_point(text, behind);
      const bool mojibake = in(next, 0xA1, 0xBF) && next != 0xAD && !is_quote(next);
      append_utf8(out, mojibake ? 0xC0 + (next & 0x3F) : c);
      if (mojibake) at = behind;
    } else if (!is_invisible(c) && !is_raised(c)) {
      append_utf8(out, c);
    }
  }
  return in_normal_form(out, false);
}

}  // namespace

std::string decoded(std::string_view text) {
  std::string now(text);
  for (int round = 0; round < kRounds; ++round) {
    std::string next = now;
    if (next.find('\\') != next.npos) next = without_escapes(next);
    if (next.find('%') != next.npos) next = without_percents(next);
    if (next.find(';') != next.npos) next = References(next).run();
    if (next.find('&') != next.npos) next = unescape_html(next);
    if (!is_ascii(next) || next.find_first_of("`\x7F\x1B\x01") != next.npos)
      next = plain_characters(fix_encoding(next));
    if (next == now) return now;
    now = std::move(next);
  }
  return References(now).run();
}

}  // namespace vicha::text_detail::prose
