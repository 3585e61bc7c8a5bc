#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "text/cleaning/prose_steps.h"

namespace vicha::text_detail::prose {
namespace {

constexpr std::string_view kOpening = "([{\"'<*_~|:;,.!?-=+>/";
constexpr std::string_view kClosing = ")]}\"'>*_~|:;,.!?-=+<";
constexpr std::size_t kLongestIdentifierPart = 4;  // digits; with letters around, more of them make an identifier

bool name_byte(char c) { return word_byte(c) || c == '_'; }
bool every(std::string_view text, bool (*is)(char)) { return !text.empty() && std::ranges::all_of(text, is); }
std::size_t count(std::string_view text, bool (*is)(char)) {
  return static_cast<std::size_t>(std::ranges::count_if(text, is));
}
std::size_t run(std::string_view text, std::size_t at, bool (*is)(char)) {
  std::size_t end = at;
  while (end < text.size() && is(text[end])) ++end;
  return end - at;
}

/// "example.com", "t.co/x", "www.example.org:80/a?b".
bool is_address(std::string_view word) {
  if (small(word.substr(0, 4)) == "www." && word.size() > 4 && word_byte(word[4])) return true;
  const std::size_t end = word.find_first_of("/?#:");
  const std::string_view host = word.substr(0, end);
  const bool path = end != word.npos && word[end] == '/' && end + 1 < word.size();
  const std::size_t point = host.rfind('.');
  if (point == host.npos || point == 0) return false;
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (host[i] == '.' ? i == 0 || host[i - 1] == '.' : !word_byte(host[i]) && host[i] != '-') return false;
  }
  const std::string_view last = host.substr(point + 1);
  if (!every(last, latin)) return false;
  if (web_words("domain").contains(small(last))) return true;
  // "youtu.be/x", "t.me/x": countries whose letters are English words too.
  return path && last.size() == 2 && std::ranges::none_of(last, [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_file(std::string_view word) {
  for (std::size_t at = word.find('.'); at != word.npos; at = word.find('.', at + 1)) {
    const std::size_t length = run(word, at + 1, name_byte), end = at + 1 + length;
    if (at == 0 || length == 0 || (!word_byte(word[at - 1]) && word[at - 1] != '_' && word[at - 1] != ')')) continue;
    if ((end == word.size() || word[end] != '.') &&
        web_words("extension").contains(small(word.substr(at + 1, length)))) {
      return true;
    }
  }
  return word.starts_with('/') && std::ranges::count(word, '/') > 1 &&
         std::ranges::all_of(word, [](char c) { return name_byte(c) || c == '/' || c == '.' || c == '-'; });
}

/// "IMG_1234", "DSC00012", "3f2a9c1e", "dog_17": letters and digits that no English word has.
bool is_identifier(std::string_view word) {
  if (!std::ranges::all_of(word, [](char c) { return name_byte(c) || c == '-'; })) return false;
  const std::size_t digits = count(word, digit);
  if (digits == 0) return false;
  if (word.find('_') != word.npos) return true;
  const std::size_t letters = run(word, 0, latin);
  if (letters > 0 && web_words("camera").contains(small(word.substr(0, letters))) && digits >= 2) return true;
  const std::size_t front = run(word, 0, digit);
  const std::string_view behind = word.substr(front);
  if (behind.empty()) return false;
  // "1990s", "1080p", "1500mah"; "1000-year-old"
  if (front > 0 && every(behind, latin) && behind.size() <= kLongestIdentifierPart) return false;
  if (front > 0 && behind.starts_with('-') && count(behind, digit) == 0) return false;
  std::size_t turns = 0;
  for (std::size_t i = 1; i < word.size(); ++i) turns += latin(word[i]) != latin(word[i - 1]) && word_byte(word[i]);
  return digits >= kLongestIdentifierPart ? count(word, latin) > 0 : turns >= 4 && word.find('-') == word.npos;
}

enum class Number { kNone, kPlain, kGone };

/// What begins with a digit or a sign before one: a number as the parser reads it, in `out`, or a price, a date, a
/// time, a ratio, a telephone number, which count nothing.
Number read_number(std::string_view word, std::string& out) {
  std::size_t sign = 0;
  while (sign < word.size() && !digit(word[sign]) && !latin(word[sign])) ++sign;
  if (sign == word.size() || !digit(word[sign])) return Number::kNone;
  const std::string_view before = word.substr(0, sign);
  constexpr std::string_view kCurrencies[] = {"$", "\xC2\xA3", "\xE2\x82\xAC", "\xC2\xA5", "\xE2\x82\xB9", "\xC2\xA2"};
  for (const std::string_view currency : kCurrencies) {
    if (before.find(currency) != before.npos || word.ends_with(currency)) return Number::kGone;
  }
  if (!before.empty()) return Number::kNone;
  std::vector<std::string_view> groups;
  std::string marks;
  for (std::size_t at = 0;;) {
    const std::size_t length = run(word, at, digit);
    groups.push_back(word.substr(at, length));
    at += length;
    if (at == word.size()) break;
    if (word[at] == '%' && at + 1 == word.size()) return Number::kGone;
    if (length == 0 || !(std::string_view(",.'/:-_").find(word[at]) != std::string_view::npos)) {
      // Letters follow: a time of day, a date, a speed are gone, "5-year-old" and "300dpi" are words.
      return marks.find_first_of("/:") != marks.npos || word.find('/') != word.npos ? Number::kGone : Number::kNone;
    }
    marks += word[at++];
    if (at < word.size() && latin(word[at]) && marks.size() == 1 && marks[0] == '-') return Number::kNone;
  }
  const bool thousands = !marks.empty() && (marks[0] == ',' || marks[0] == '\'' || marks[0] == '_') &&
                         groups[0].size() <= 3 &&
                         std::all_of(groups.begin() + 1, groups.end(), [&](const std::string_view& group) {
                           const bool fraction = &group != &groups.back() ? false : marks.back() == '.';
                           return fraction || group.size() == 3;
                         });
  if (marks.empty() || thousands) {
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (i > 0 && marks[i - 1] == '.') out += '.';
      out += groups[i];
    }
    if (out.size() > 1 && std::ranges::all_of(out, [](char c) { return c == '0'; })) return Number::kGone;
    return Number::kPlain;
  }
  const bool decimal = marks == ".", range = marks == "-" && groups[0].size() <= 2 && groups[1].size() <= 2;
  if ((decimal || range) && !groups.back().empty()) {
    out.append(groups[0]).append(marks).append(groups[1]);
    return Number::kPlain;
  }
  return Number::kGone;
}

/// The word has lost a character, or shows what UTF-8 looks like elsewhere.
bool is_damaged(std::string_view word) {
  if (word.find("\xEF\xBF\xBD") != word.npos) return true;
  for (std::size_t i = 1; i + 1 < word.size(); ++i) {
    if (word[i] == '?' && latin(word[i - 1]) && latin(word[i + 1])) return true;
    // Ã or Â behind a small letter
    const auto second = static_cast<unsigned char>(word[i + 1]);
    if (static_cast<unsigned char>(word[i]) == 0xC3 && (second == 0x83 || second == 0x82) && latin(word[i - 1]) &&
        small(word[i - 1]) == word[i - 1]) {
      return true;
    }
  }
  return false;
}

class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}

  std::string run() {
    for (std::size_t at = 0; at < text_.size();) {
      if (blank(text_[at])) {
        out_ += text_[at++];
        continue;
      }
      std::size_t end = at;
      while (end < text_.size() && !blank(text_[end])) ++end;
      const bool number_before = std::exchange(short_number_, false);
      word(text_.substr(at, end - at), number_before);
      at = end;
    }
    return std::move(out_);
  }

 private:
  void say(std::string_view text) { out_ += text; }
  void gone() { say(" , "); }

  void word(std::string_view whole, bool number_before) {
    // Pages' addresses, wherever they begin: "(https://a.b/c)".
    for (std::size_t scheme = whole.find("://"); scheme != whole.npos; scheme = whole.find("://")) {
      std::size_t begin = scheme;
      while (begin > 0 && (latin(whole[begin - 1]) || digit(whole[begin - 1]))) --begin;
      if (begin > 0) parts(whole.substr(0, begin));
      gone();
      whole.remove_prefix(std::min(whole.find_first_of("\"<>)]}|", scheme + 3), whole.size()));
    }
    constexpr std::string_view kSchemes[] = {
        "mailto:", "data:", "tel:", "http:", "https:", "javascript:", "urn:", "file:", "blob:"};
    const std::string front = small(whole.substr(0, 12));
    for (const std::string_view scheme : kSchemes) {
      if (front.starts_with(scheme) && (whole.size() > scheme.size() || scheme[0] == 'h')) return gone();
    }
    if (whole.starts_with("<3") || whole.starts_with("</3") || whole == "XD" || whole == "xD") return gone();
    // ":smile:"
    if (whole.size() > 2 && whole.front() == ':' && whole.back() == ':' && latin(whole[1]) &&
        std::ranges::all_of(whole.substr(1, whole.size() - 2), [](char c) { return name_byte(c) || c == '-'; })) {
      return gone();
    }
    if (!whole.empty()) parts(whole, number_before);
  }

  // The word between the marks around it.
  void parts(std::string_view whole, bool number_before = false) {
    std::size_t begin = 0, end = whole.size();
    while (begin < end && kOpening.find(whole[begin]) != kOpening.npos) ++begin;
    while (end > begin && kClosing.find(whole[end - 1]) != kClosing.npos) --end;
    // A path begins with a mark.
    if (begin > 0 && whole[begin - 1] == '/') --begin;
    copy(whole.substr(0, begin));
    core(whole.substr(begin, end - begin), number_before && begin == 0);
    if (end < whole.size()) short_number_ = false;
    copy(whole.substr(end));
  }

  void core(std::string_view word, bool number_before) {
    if (word.empty()) return;
    if (word == "@") return say("at");
    word = without_halves(word);
    if (word.empty()) return gone();
    if (const std::size_t at = word.find('@'); at != word.npos) return mention(word, at);
    if (is_address(word) || is_file(word) || is_identifier(word) || is_digest(word) || is_damaged(word)) {
      return gone();
    }
    if ((small(word[0]) == 'r' || small(word[0]) == 'u') && word.size() > 2 && word[1] == '/' &&
        every(word.substr(2), name_byte)) {
      return gone();
    }
    if (word.size() > 2 && latin(word[0]) && word[1] == '/' && digit(word[2])) return gone();  // "f/2.8"
    if (word.find('#') != word.npos) return hashtags(word);
    if (number_before && word.size() == 3 && every(word, digit)) {  // "12 000"
      while (blank(out_.back())) out_.pop_back();
      short_number_ = true;
      return say(word);
    }
    std::string number;
    if (const Number kind = read_number(word, number); kind != Number::kNone) {
      if (kind == Number::kGone) return word.find_first_not_of('0') == word.npos ? void() : gone();
      short_number_ = word.size() <= 3 && every(word, digit) && word[0] != '0';
      return say(number);
    }
    const std::string lower = small(word);
    if (web_words("debris").contains(lower)) return gone();
    if (lower == "w/o") return say("without");
    if (lower == "b/w" || lower == "b&w") return say("black and white");
    if (lower.starts_with("w/")) {
      say("with ");
      word.remove_prefix(2);
    }
    copy(word);
  }

  // As it stands; "dog''s" has one apostrophe too many.
  void copy(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c == '\'' && i > 0 && text[i - 1] == '\'') continue;
      out_ += c == '_' ? ' ' : c;
    }
  }

  // "@name" and what is behind it; with something before the sign the whole is an address.
  void mention(std::string_view word, std::size_t at) {
    if (at > 0 && word_byte(word[at - 1])) return gone();
    if (at > 0) parts(word.substr(0, at));
    std::size_t end = at + 1;
    while (end < word.size() && (name_byte(word[end]) || word[end] == '.' || word[end] == '-')) ++end;
    if (end < word.size() && word[end] == '@') ++end;
    while (end < word.size() && (name_byte(word[end]) || word[end] == '.' || word[end] == '\'')) ++end;
    // "RT @name"
    std::string_view before = out_;
    while (!before.empty() && blank(before.back())) before.remove_suffix(1);
    if (before == "RT" || before.ends_with(" RT")) out_.resize(before.size() - 2);
    gone();
    rest_of(word.substr(end));
  }

  void hashtags(std::string_view word) {
    const std::size_t at = word.find('#');
    if (at > 0) parts(word.substr(0, at));
    const std::size_t length = prose::run(word, at + 1, name_byte);
    const std::string_view tag = word.substr(at + 1, length);
    if (count(tag, digit) < tag.size()) {
      if (!out_.empty() && !blank(out_.back())) out_ += ' ';
      out_ += '#';
      out_ += in_parts(tag);
    }
    rest_of(word.substr(at + 1 + length));
  }

  // What stands in the same word behind a "#" or "@" part; more of them than anybody writes are passed over.
  void rest_of(std::string_view rest) {
    if (rest.empty()) return;
    if (++depth_ > kMostInAWord) return --depth_, gone();
    out_ += ' ';
    parts(rest);
    --depth_;
  }

  // "GoldenGateBridge", "throwback_thursday", "dog2020"
  static std::string in_parts(std::string_view tag) {
    std::string out;
    const auto capital = [](char c) { return c >= 'A' && c <= 'Z'; };
    for (std::size_t i = 0; i < tag.size(); ++i) {
      const char c = tag[i];
      const bool hump = i > 0 && capital(c) &&
                        (!capital(tag[i - 1]) || (i + 1 < tag.size() && latin(tag[i + 1]) && !capital(tag[i + 1])));
      const bool turn = i > 0 && digit(c) != digit(tag[i - 1]);
      if ((hump || turn || c == '_') && !out.empty() && out.back() != '_') out += '_';
      if (c != '_') out += c;
    }
    while (out.ends_with('_')) out.pop_back();
    return out;
  }

  static constexpr int kMostInAWord = 50;

  std::string_view text_;
  std::string out_;
  bool short_number_ = false;  // the word before has one to three digits
  int depth_ = 0;
};

}  // namespace

std::string without_addresses(std::string_view text) { return Words(text).run(); }

}  // namespace vicha::text_detail::prose
