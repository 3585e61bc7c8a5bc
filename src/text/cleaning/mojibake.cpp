#include "text/cleaning/mojibake.h"

#include <unicode/regex.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "text/cleaning/html_entities.h"
#include "text/cleaning/mojibake_tables.h"

namespace vicha::text_detail {
namespace {

using icu::RegexMatcher;
using icu::RegexPattern;
using icu::UnicodeString;

constexpr int kMaxSteps = 64;  // mojibake of mojibake of …; real texts need two or three
constexpr char32_t kReplacement = 0xFFFD;
constexpr char kSubstitute = 0x1A;

/// Patterns are compiled once; a matcher of one is for one thread.
class Pattern {
 public:
  explicit Pattern(const std::string& pattern) {
    UErrorCode status = U_ZERO_ERROR;
    UParseError where;
    pattern_.reset(RegexPattern::compile(UnicodeString::fromUTF8(pattern), 0, where, status));
    VICHA_ASSERT(U_SUCCESS(status));
  }
  /// A text that costs more than ICU allows counts as one without a match.
  bool found_in(const UnicodeString& text) const {
    UErrorCode status = U_ZERO_ERROR;
    return matcher(text)->find(status) && U_SUCCESS(status);
  }
  /// Every match replaced by what `replacement` makes of it.
  template <class Replacement>
  UnicodeString replaced(const UnicodeString& text, const Replacement& replacement) const {
    UnicodeString out;
    std::int32_t done = 0;
    UErrorCode status = U_ZERO_ERROR;
    for (const auto found = matcher(text); found->find(status) && U_SUCCESS(status);) {
      const std::int32_t start = found->start(status), end = found->end(status);
      out.append(text, done, start - done);
      out.append(replacement(UnicodeString(text, start, end - start)));
      done = end;
    }
    return out.append(text, done, text.length() - done);
  }

 private:
  std::unique_ptr<RegexMatcher> matcher(const UnicodeString& text) const {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<RegexMatcher> matcher(pattern_->matcher(text, status));
    VICHA_ASSERT(U_SUCCESS(status));
    return matcher;
  }

  std::unique_ptr<RegexPattern> pattern_;
};

/// {name} -> the members of that set.
std::string with_sets(std::string_view pattern) {
  static const auto sets = mojibake_sets();
  std::string out;
  for (std::size_t at = 0; at < pattern.size();) {
    if (pattern[at] == '{') {
      const std::size_t end = pattern.find('}', at);
      const std::string_view name = pattern.substr(at + 1, end - at - 1);
      const auto set = sets.find(name);
      if (set != sets.end()) {
        out += set->second;
        at = end + 1;
        continue;
      }
    }
    out += pattern[at++];
  }
  return out;
}

const Pattern& bad_pattern() {
  static const Pattern pattern = [] {
    std::string any;
    for (const std::string_view one : mojibake_patterns()) any += (any.empty() ? "" : "|") + with_sets(one);
    return Pattern(any);
  }();
  return pattern;
}

/// Runs of what reads like UTF-8 in a single-byte encoding.
const Pattern& utf8_pattern() {
  static const Pattern pattern(
      with_sets(R"((?<![{utf8_continuation_strict}])(?:[{utf8_first_of_2}][{utf8_continuation}])"
                R"(|[{utf8_first_of_3}][{utf8_continuation}][{utf8_continuation}])"
                R"(|[{utf8_first_of_4}][{utf8_continuation}][{utf8_continuation}][{utf8_continuation}])+)"));
  return pattern;
}

// Patterns of bytes: characters up to U+00FF stand for them.

/// "Ã " before a word: an "à" whose no-break space has become a space, but for Portuguese and Italian words that are
/// written together.
const Pattern& lone_a_grave() {
  static const Pattern pattern(R"(\u00C3 (?! |quele|quela|quilo|s ))");
  return pattern;
}
/// UTF-8 in which a byte A0 has become a space.
const Pattern& altered_utf8() {
  static const Pattern pattern(R"([\u00C2\u00C3\u00C5\u00CE\u00D0\u00D9][ ])"
                               R"(|[\u00E2\u00E3][ ][\u0080-\u0084\u0086-\u009F\u00A1-\u00BF])"
                               R"(|[\u00E0-\u00E3][\u0080-\u0084\u0086-\u009F\u00A1-\u00BF][ ])"
                               R"(|\u00F0[ ][\u0080-\u00BF][\u0080-\u00BF])"
                               R"(|\u00F0[\u0080-\u00BF][ ][\u0080-\u00BF])"
                               R"(|\u00F0[\u0080-\u00BF][\u0080-\u00BF][ ])");
  return pattern;
}
/// UTF-8 in which bytes without a meaning were lost.
const Pattern& lossy_utf8() {
  static const Pattern pattern(R"([\u00C2-\u00DF]\u001A)"
                               R"(|[\u00C2-\u00C3][?])"
                               R"(|\u00ED[\u00A0-\u00AF][\u001A?]\u00ED[\u00B0-\u00BF][\u001A?\u0080-\u00BF])"
                               R"(|\u00ED[\u00A0-\u00AF][\u001A?\u0080-\u00BF]\u00ED[\u00B0-\u00BF][\u001A?])"
                               R"(|[\u00E0-\u00EF][\u001A?][\u001A\u0080-\u00BF])"
                               R"(|[\u00E0-\u00EF][\u001A\u0080-\u00BF][\u001A?])"
                               R"(|[\u00F0-\u00F4][\u001A?][\u001A\u0080-\u00BF][\u001A\u0080-\u00BF])"
                               R"(|[\u00F0-\u00F4][\u001A\u0080-\u00BF][\u001A?][\u001A\u0080-\u00BF])"
                               R"(|[\u00F0-\u00F4][\u001A\u0080-\u00BF][\u001A\u0080-\u00BF][\u001A?])"
                               R"(|\u001A)");
  return pattern;
}

/// The bytes of a text in an encoding, as characters of those numbers.
class Encoder {
 public:
  explicit Encoder(Charmap map) : map_(std::move(map)) {
    for (char16_t byte = 0; byte < 0x80; ++byte) bytes_.emplace(byte, byte);
    if (map_.sloppy) {
      bytes_.erase(kSubstitute);
      bytes_.emplace(kReplacement, kSubstitute);
    }
    for (std::size_t i = 0; i < map_.high.size(); ++i) bytes_.emplace(map_.high[i], static_cast<char16_t>(0x80 + i));
  }

  const Charmap& map() const { return map_; }
  std::optional<UnicodeString> encode(const UnicodeString& text) const {
    UnicodeString bytes;
    for (std::int32_t at = 0; at < text.length(); at = text.moveIndex32(at, 1)) {
      const auto found = bytes_.find(static_cast<char32_t>(text.char32At(at)));
      if (found == bytes_.end()) return std::nullopt;
      bytes.append(found->second);
    }
    return bytes;
  }

 private:
  Charmap map_;
  std::unordered_map<char32_t, char16_t> bytes_;
};

const std::vector<Encoder>& encoders() {
  static const std::vector<Encoder> all = [] {
    std::vector<Encoder> encoders;
    for (Charmap& map : charmaps()) encoders.emplace_back(std::move(map));
    return encoders;
  }();
  return all;
}

/// Strict UTF-8; with `variants` also Java's null (C0 80) and characters as two surrogates of three bytes each.
std::optional<UnicodeString> decode_utf8(const UnicodeString& bytes, bool variants) {
  UnicodeString out;
  const std::int32_t size = bytes.length();
  const auto in = [&](std::int32_t at, int low, int high) {
    return at < size && bytes.charAt(at) >= low && bytes.charAt(at) <= high;
  };
  const auto bits = [&](std::int32_t at, int mask) { return static_cast<UChar32>(bytes.charAt(at) & mask); };
  for (std::int32_t at = 0; at < size;) {
    const char16_t first = bytes.charAt(at);
    if (first < 0x80) {
      out.append(first);
      ++at;
    } else if (variants && first == 0xC0 && in(at + 1, 0x80, 0x80)) {
      out.append(char16_t{0});
      at += 2;
    } else if (variants && first == 0xED && in(at + 1, 0xA0, 0xAF) && in(at + 2, 0x80, 0xBF) &&
               in(at + 3, 0xED, 0xED) && in(at + 4, 0xB0, 0xBF) && in(at + 5, 0x80, 0xBF)) {
      out.append(0x10000 + (bits(at + 1, 0xF) << 16) + (bits(at + 2, 0x3F) << 10) + (bits(at + 4, 0xF) << 6) +
                 bits(at + 5, 0x3F));
      at += 6;
    } else {
      const int length = first >= 0xC2 && first <= 0xDF   ? 2
                         : first >= 0xE0 && first <= 0xEF ? 3
                         : first >= 0xF0 && first <= 0xF4 ? 4
                                                          : 0;
      if (length == 0) return std::nullopt;
      UChar32 c = first & (0xFF >> (length + 1));
      for (int i = 1; i < length; ++i) {
        if (!in(at + i, 0x80, 0xBF)) return std::nullopt;
        c = (c << 6) | bits(at + i, 0x3F);
      }
      if ((length == 3 && (c < 0x800 || (c >= 0xD800 && c <= 0xDFFF))) ||
          (length == 4 && (c < 0x10000 || c > 0x10FFFF))) {
        return std::nullopt;
      }
      out.append(c);
      at += length;
    }
  }
  return out;
}

std::optional<UnicodeString> read_as_utf8(UnicodeString bytes, const Charmap& map) {
  // In MacRoman an en dash and a space would look like an altered letter.
  if (map.name != "macroman" && altered_utf8().found_in(bytes)) {
    bytes = lone_a_grave().replaced(bytes, [](const UnicodeString&) { return UnicodeString(u"\u00C3\u00A0 "); });
    bytes = altered_utf8().replaced(
        bytes, [](UnicodeString match) { return match.findAndReplace(UnicodeString(u" "), UnicodeString(u"\u00A0")); });
  }
  if (map.sloppy) {
    bytes = lossy_utf8().replaced(bytes, [](const UnicodeString&) { return UnicodeString(u"\u00EF\u00BF\u00BD"); });
  }
  return decode_utf8(bytes, bytes.indexOf(char16_t{0xED}) >= 0 || bytes.indexOf(char16_t{0xC0}) >= 0);
}

bool is_ascii(const UnicodeString& text) {
  for (std::int32_t i = 0; i < text.length(); ++i) {
    if (text.charAt(i) >= 0x80) return false;
  }
  return true;
}

/// Of characters U+0080 to U+009F; those without a meaning there stay.
UnicodeString controls_as_windows_1252(const UnicodeString& text) {
  UnicodeString out;
  for (std::int32_t i = 0; i < text.length(); ++i) {
    const char16_t c = text.charAt(i);
    out.append(c >= 0x80 && c <= 0x9F ? static_cast<char16_t>(windows_1252(c)) : c);
  }
  return out;
}

UnicodeString fixed(UnicodeString text);

UnicodeString one_step(const UnicodeString& text) {
  if (is_ascii(text) || !bad_pattern().found_in(text)) return text;
  for (const Encoder& encoder : encoders()) {
    if (const auto bytes = encoder.encode(text)) {
      if (auto read = read_as_utf8(*bytes, encoder.map())) return *std::move(read);
    }
  }
  UnicodeString pieces = utf8_pattern().replaced(text, [&](const UnicodeString& match) {
    return match.length() < text.length() && bad_pattern().found_in(match) ? fixed(match) : match;
  });
  if (pieces != text) return pieces;
  return controls_as_windows_1252(text);
}

UnicodeString fixed(UnicodeString text) {
  for (int step = 0; step < kMaxSteps; ++step) {
    UnicodeString next = one_step(text);
    if (next == text) break;
    text = std::move(next);
  }
  return text;
}

}  // namespace

std::string fix_encoding(std::string_view text) {
  if (std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; })) return std::string(text);
  const UnicodeString before = UnicodeString::fromUTF8({text.data(), static_cast<std::int32_t>(text.size())});
  const UnicodeString after = fixed(before);
  std::string out;
  after.toUTF8String(out);
  return out;
}

}  // namespace vicha::text_detail
