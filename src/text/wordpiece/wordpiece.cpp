#include "text/wordpiece/wordpiece.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/error.h"
#include "text/utf8.h"

namespace vicha {
namespace {

constexpr std::size_t kMaxWordCharacters = 100;

// What an ASCII character does; letters that stay stand for themselves.
enum class AsciiClass : unsigned char { kWord, kPunctuation, kSpace, kDropped };

constexpr AsciiClass ascii_class(unsigned char c) {
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return AsciiClass::kSpace;
  if (c < 0x20 || c == 0x7F) return AsciiClass::kDropped;
  const bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return word ? AsciiClass::kWord : AsciiClass::kPunctuation;
}

constexpr auto kAscii = [] {
  std::array<AsciiClass, 128> table{};
  for (unsigned char c = 0; c < 128; ++c) table[c] = ascii_class(c);
  return table;
}();

constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool is_ideograph(char32_t c, CharacterRules rules) {
  const char32_t extension_e = rules == CharacterRules::kFast ? 0x2B920 : 0x2B820;
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B81F) || (c >= extension_e && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

bool is_dropped(char32_t c, CharacterRules rules) {
  if (c == 0 || c == text_detail::kReplacement) return true;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
      return true;
    case UTF8PROC_CATEGORY_CN:
      return rules == CharacterRules::kReleased;
    default:
      return false;
  }
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) return kAscii[c] == AsciiClass::kPunctuation;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

// Cuts words into pieces and collects ids until there is no room.
class Collector {
 public:
  Collector(const Vocabulary& vocabulary, std::vector<std::int64_t>& ids, std::size_t limit)
      : vocabulary_(vocabulary), ids_(ids), limit_(limit) {}

  bool full() const { return ids_.size() >= limit_; }
  void id(std::int64_t id) {
    if (!full()) ids_.push_back(id);
  }

  /// One character that stands alone, or a word of up to `kMaxWordCharacters`; `word` is not empty.
  void word(std::string_view word) {
    const std::size_t first = ids_.size();
    for (std::size_t at = 0; at < word.size();) {
      const auto [id, length] = longest_piece(word.substr(at), at > 0);
      if (id < 0) {
        ids_.resize(first);
        return this->id(vocabulary_.unk_id());
      }
      ids_.push_back(id);
      at += length;
    }
    if (ids_.size() > limit_) ids_.resize(limit_);
  }
  void too_long_word() { id(vocabulary_.unk_id()); }

 private:
  std::pair<std::int64_t, std::size_t> longest_piece(std::string_view rest, bool continues) const {
    std::array<std::uint64_t, 4 * kMaxWordCharacters> hashes;  // left uninitialised: this is the hot path
    const std::size_t longest = std::min({rest.size(), vocabulary_.longest_piece(), hashes.size()});
    PrefixHash hash;
    for (std::size_t i = 0; i < longest; ++i) {
      hash.extend(rest[i]);
      hashes[i] = hash.value;
    }
    for (std::size_t length = longest; length > 0; --length) {
      const std::int64_t id = vocabulary_.find_piece(rest.substr(0, length), hashes[length - 1], continues);
      if (id >= 0) return {id, length};
    }
    return {-1, 0};
  }

  const Vocabulary& vocabulary_;
  std::vector<std::int64_t>& ids_;
  std::size_t limit_;
};

// Gathers a word's characters and hands it over when it ends.
class WordBuffer {
 public:
  explicit WordBuffer(Collector& out) : out_(out) {}

  void add(char c) {
    if (characters_++ < kMaxWordCharacters) bytes_[size_++] = c;
  }
  void add(char32_t c) {
    if (characters_++ >= kMaxWordCharacters) return;
    encoded_.clear();
    text_detail::append_utf8(encoded_, c);
    std::ranges::copy(encoded_, bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += encoded_.size();
  }
  void end() {
    if (characters_ > kMaxWordCharacters) {
      out_.too_long_word();
    } else if (characters_ > 0) {
      out_.word({bytes_.data(), size_});
    }
    characters_ = size_ = 0;
  }
  template <class Character>
  void alone(Character c) {
    end();
    add(c);
    end();
  }

 private:
  Collector& out_;
  std::array<char, 4 * kMaxWordCharacters> bytes_;
  std::size_t characters_ = 0, size_ = 0;
  std::string encoded_;
};

void encode_ascii(std::string_view text, Casing casing, Collector& out) {
  WordBuffer word(out);
  for (const char c : text) {
    switch (kAscii[static_cast<unsigned char>(c)]) {
      case AsciiClass::kWord:
        word.add(casing == Casing::kCased ? c : ascii_lower(c));
        break;
      case AsciiClass::kPunctuation:
        word.alone(c);
        break;
      case AsciiClass::kSpace:
        word.end();
        break;
      case AsciiClass::kDropped:
        break;
    }
    if (out.full()) return;
  }
  word.end();
}

// Marks that follow a base character are put in canonical order, as NFD asks.
void order_marks(std::u32string& text) {
  const auto combining = [](char32_t c) {
    return utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class;
  };
  for (auto at = text.begin(); at != text.end();) {
    if (*at < 0x300) {
      ++at;
      continue;
    }
    const auto end = std::find_if(at, text.end(), [&](char32_t c) { return combining(c) == 0; });
    if (end - at > 1) {
      std::stable_sort(at, end, [&](char32_t a, char32_t b) { return combining(a) < combining(b); });
    }
    at = end == at ? at + 1 : end;
  }
}

void decompose(char32_t c, std::u32string& out) {
  std::array<utf8proc_int32_t, 32> parts;  // the longest canonical decomposition has 4
  int boundary = 0;
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(), parts.size(),
                                             UTF8PROC_DECOMPOSE, &boundary);
  VICHA_ASSERT(count >= 0 && count <= static_cast<utf8proc_ssize_t>(parts.size()));
  for (utf8proc_ssize_t i = 0; i < count; ++i) out += static_cast<char32_t>(parts[static_cast<std::size_t>(i)]);
}

void encode_unicode(std::string_view text, CharacterRules rules, Casing casing, Collector& out) {
  const bool cased = casing == Casing::kCased;
  const auto take = [&](char32_t c, std::u32string& to) {
    if (cased) {
      to += c;
    } else {
      decompose(c, to);
    }
  };
  std::u32string clean;
  clean.reserve(text.size() + 16);
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = text_detail::next_code_point(text, at);
    if (c == '\t' || c == '\n' || c == '\r') {
      clean += U' ';
    } else if (c < 0x80) {
      if (kAscii[c] != AsciiClass::kDropped) clean += c;
    } else if (is_dropped(c, rules)) {
      continue;
    } else if (text_detail::is_space(c)) {
      clean += U' ';
    } else if (is_ideograph(c, rules)) {
      clean += U' ';
      take(c, clean);
      clean += U' ';
    } else {
      take(c, clean);
    }
  }
  if (!cased) order_marks(clean);
  WordBuffer word(out);
  for (char32_t c : clean) {
    if (cased) {
      // as it is
    } else if (c >= 0x80) {
      if (utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_MN) continue;
      c = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
    } else {
      c = static_cast<unsigned char>(ascii_lower(static_cast<char>(c)));
    }
    if (c == ' ') {
      word.end();
    } else if (is_punctuation(c)) {
      word.alone(c);
    } else {
      word.add(c);
    }
    if (out.full()) return;
  }
  word.end();
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, CharacterRules rules, Casing casing)
    : vocabulary_(std::move(vocabulary)), rules_(rules), casing_(casing) {}

std::vector<std::int64_t> WordPiece::encode(std::string_view text, std::size_t max_length, Framing framing) const {
  const std::size_t before = framing == Framing::kNone ? 0 : 1, after = framing == Framing::kClsSep ? 1 : 0;
  if (max_length < before + after) {
    throw UsageError(
        fmt::format("a text of at most {} tokens has no room for its {} special ones", max_length, before + after));
  }
  std::vector<std::int64_t> ids;
  ids.reserve(std::min(max_length, text.size() / 4 + 8));
  if (before) ids.push_back(vocabulary_.cls_id());
  Collector out(vocabulary_, ids, max_length - after);
  const auto plain = [&](std::string_view part) {
    if (text_detail::is_ascii(part)) {
      encode_ascii(part, casing_, out);
    } else {
      encode_unicode(part, rules_, casing_, out);
    }
  };
  std::size_t start = 0;
  for (std::size_t at = text.find('['); at != std::string_view::npos && !out.full(); at = text.find('[', at)) {
    const auto special = vocabulary_.special_prefix(text.substr(at));
    if (!special) {
      ++at;
      continue;
    }
    plain(text.substr(start, at - start));
    out.id(special->id);
    start = at += special->length;
  }
  if (!out.full()) plain(text.substr(start));
  if (after) ids.push_back(vocabulary_.sep_id());
  return ids;
}

TokenBatch pad_batch(std::span<const std::vector<std::int64_t>> rows, std::int64_t pad_id,
                     std::optional<std::int64_t> length) {
  TokenBatch batch;
  batch.rows = static_cast<std::int64_t>(rows.size());
  std::size_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.size());
  VICHA_ASSERT(!length || longest <= static_cast<std::size_t>(*length));
  batch.length = length.value_or(static_cast<std::int64_t>(longest));
  const auto width = static_cast<std::size_t>(batch.length);
  batch.ids.assign(rows.size() * width, pad_id);
  batch.mask.assign(rows.size() * width, 0);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto at = static_cast<std::ptrdiff_t>(i * width);
    std::ranges::copy(rows[i], batch.ids.begin() + at);
    std::fill_n(batch.mask.begin() + at, rows[i].size(), 1);
  }
  return batch;
}

}  // namespace vicha
