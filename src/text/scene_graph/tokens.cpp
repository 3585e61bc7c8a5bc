#include "text/scene_graph/tokens.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <utility>

#include "text/utf8.h"

namespace vicha::text_detail {
namespace {

constexpr std::size_t kLongestWord = 40;  // bytes; what is longer is no word

enum class CharKind {
  kSpace,
  kLetter,
  kForeignLetter,
  kDigit,
  kHyphen,
  kApostrophe,
  kEnd,
  kAmpersand,
  kHash,
  kIgnored,
  kMark
};

// `c` comes back in lower case.
CharKind kind_of(char32_t& c) {
  if (c == U'\n' || c == U'\r') return CharKind::kEnd;
  if (is_space(c) || c < 0x20 || c == 0x7F) return CharKind::kSpace;
  if (c < 0x80) {
    if (c >= U'A' && c <= U'Z') c += U'a' - U'A';
    if (c >= U'a' && c <= U'z') return CharKind::kLetter;
    if (c >= U'0' && c <= U'9') return CharKind::kDigit;
    switch (c) {
      case U'-':
        return CharKind::kHyphen;
      case U'\'':
        return CharKind::kApostrophe;
      case U'.':
      case U'!':
      case U'?':
        return CharKind::kEnd;
      case U'&':
        return CharKind::kAmpersand;
      case U'#':
        return CharKind::kHash;
      case U'"':
      case U'`':
      case U'*':
        return CharKind::kIgnored;
      default:
        return CharKind::kMark;
    }
  }
  if (c == 0x2019 || c == 0x2018 || c == 0x02BC) {
    c = U'\'';
    return CharKind::kApostrophe;
  }
  if (c == 0x2010 || c == 0x2011) {
    c = U'-';
    return CharKind::kHyphen;
  }
  if (c == 0x201C || c == 0x201D || c == 0xFEFF || c == 0x200B || c == 0x00AD) return CharKind::kIgnored;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  switch (category) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      c = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
      return c < 0x250 || (c >= 0x300 && c < 0x370) || (c >= 0x1E00 && c < 0x1F00) ? CharKind::kLetter
                                                                                   : CharKind::kForeignLetter;
    default:
      return CharKind::kMark;
  }
}

bool is_digit_of_word(char c) { return c >= '0' && c <= '9'; }

// "12", "3.5", "10-20", and with a unit or alike behind: "300dpi", "90s", "4x4". "5-year-old" is none.
bool is_number(std::string_view word) {
  if (!is_digit_of_word(word.front())) return false;
  return word.find_first_of("-'") == word.npos ||
         std::ranges::all_of(word, [](char c) { return is_digit_of_word(c) || c == '.' || c == '-'; });
}

bool is_ordinal(std::string_view word) {
  const std::size_t end = word.find_first_not_of("0123456789");
  if (end == 0 || end == word.npos) return false;
  const std::string_view suffix = word.substr(end);
  return suffix == "st" || suffix == "nd" || suffix == "rd" || suffix == "th";
}

struct Splitter {
  std::vector<CaptionSentence> sentences{1};
  std::string word;
  bool foreign = false, hashtag = false;
  bool quoted = false;  // behind an apostrophe that began a word

  CaptionSentence& sentence() { return sentences.back(); }

  void add(std::string_view text, Tag tag) { sentence().push_back({std::string(text), tag}); }

  void end_word() {
    while (!word.empty() && (word.back() == '-' || word.back() == '\'')) {
      // "the dogs' bowl": what is left is a genitive, unless a quotation is open: "'two dogs'".
      const bool closes = word.back() == '\'' && std::exchange(quoted, false);
      if (!closes && word.back() == '\'' && word.size() > 2 && word[word.size() - 2] == 's') {
        word.pop_back();
        add_plain();
        add("'s", Tag::kGenitive);
        return;
      }
      word.pop_back();
    }
    add_plain();
  }

  void add_plain() {
    const bool tagged = std::exchange(hashtag, false);
    if (word.empty()) return;
    const std::string text = std::exchange(word, {});
    if (std::exchange(foreign, false) || text.size() > kLongestWord) return add(text, Tag::kForeign);
    if (tagged) return add(text, Tag::kHashtag);
    if (is_ordinal(text)) return add(text, Tag::kDeterminer);
    if (is_number(text)) return add(text, Tag::kNumber);
    if (const auto quote = text.find('\''); quote != std::string::npos) return add_contraction(text, quote);
    add(text, closed_class(text));
  }

  // "man's", "it's", "don't".
  void add_contraction(const std::string& text, std::size_t quote) {
    const std::string stem = text.substr(0, quote), rest = text.substr(quote);
    if (rest == "'s") {
      static constexpr std::array<std::string_view, 9> kWithIs = {"it",   "he",  "she",  "there", "that",
                                                                  "here", "who", "what", "where"};
      const bool verb = std::find(kWithIs.begin(), kWithIs.end(), stem) != kWithIs.end();
      add(stem, closed_class(stem));
      return verb ? add("is", Tag::kBe) : add("'s", Tag::kGenitive);
    }
    if (rest == "'re" || rest == "'m") {
      add(stem, closed_class(stem));
      return add(rest == "'m" ? "am" : "are", Tag::kBe);
    }
    if (rest == "'ll" || rest == "'ve" || rest == "'d") {
      add(stem, closed_class(stem));
      return add(rest == "'ll" ? "will" : rest == "'ve" ? "have" : "would", Tag::kAuxiliary);
    }
    if (text.ends_with("n't")) return add(text, Tag::kAuxiliary);
    add(text, Tag::kUnknown);
  }

  void end_sentence() {
    end_word();
    if (!sentence().empty()) sentences.emplace_back();
  }

  void comma() {
    end_word();
    if (!sentence().empty() && sentence().back().tag != Tag::kComma) add(",", Tag::kComma);
  }
};

// A title's or a street's point ends no sentence.
bool is_abbreviation(std::string_view word) {
  static constexpr std::array<std::string_view, 9> kShort = {"st", "mr", "mrs", "ms", "dr", "mt", "vs", "no", "jr"};
  return word.size() == 1 || std::find(kShort.begin(), kShort.end(), word) != kShort.end();
}

// Idioms become one word each.
void join_idioms(CaptionSentence& sentence) {
  std::size_t kept = 0;
  for (std::size_t at = 0; at < sentence.size();) {
    const Idiom* found = nullptr;
    for (const Idiom& idiom : idioms_of(sentence[at].text)) {
      const auto equal = [&](std::size_t i) { return sentence[at + i].text == idiom.words[i]; };
      std::size_t i = 0;
      while (i < idiom.words.size() && at + i < sentence.size() && equal(i)) ++i;
      if (i == idiom.words.size()) {
        found = &idiom;
        break;
      }
    }
    CaptionWord word = std::move(sentence[at]);
    const std::size_t length = found ? found->words.size() : 1;
    if (found) {
      const std::string_view between = found->tag == Tag::kNoun ? "-" : " ";
      for (std::size_t i = 1; i < length; ++i) word.text.append(between).append(found->words[i]);
      word.tag = found->tag;
    }
    at += length;
    sentence[kept++] = std::move(word);
  }
  sentence.resize(kept);
}

// "snow covered mountains", "brightly colored kites": one adjective each.
void join_adjectives(CaptionSentence& sentence) {
  static constexpr std::array<std::string_view, 12> kEnds = {"covered",  "filled",   "lined",  "shaped",
                                                             "colored",  "coloured", "sized",  "topped",
                                                             "flavored", "drawn",    "themed", "striped"};
  std::size_t kept = 0;
  for (std::size_t at = 0; at < sentence.size(); ++at) {
    const bool joins = at > 0 && kept > 0 && at + 1 < sentence.size() && sentence[at].tag == Tag::kUnknown &&
                       sentence[at + 1].tag == Tag::kUnknown && sentence[kept - 1].tag == Tag::kUnknown &&
                       std::find(kEnds.begin(), kEnds.end(), sentence[at].text) != kEnds.end();
    if (joins) {
      sentence[kept - 1].text += " " + sentence[at].text;
      sentence[kept - 1].tag = Tag::kAdjective;
    } else {
      if (kept != at) sentence[kept] = std::move(sentence[at]);
      ++kept;
    }
  }
  sentence.resize(kept);
}

}  // namespace

std::vector<CaptionSentence> split_caption(std::string_view caption) {
  Splitter split;
  for (std::size_t at = 0; at < caption.size();) {
    char32_t c = next_code_point(caption, at);
    const auto next_kind = [&] {
      if (at >= caption.size()) return CharKind::kSpace;
      std::size_t after = at;
      char32_t next = next_code_point(caption, after);
      return kind_of(next);
    };
    if (c == U'_' && split.hashtag) {
      split.word += '_';
      continue;
    }
    switch (kind_of(c)) {
      case CharKind::kForeignLetter:
        split.foreign = true;
        [[fallthrough]];
      case CharKind::kLetter:
      case CharKind::kDigit:
        append_utf8(split.word, c);
        break;
      case CharKind::kHyphen:
      case CharKind::kApostrophe:
        if (!split.word.empty()) {
          split.word += static_cast<char>(c);
        } else if (c == U'\'') {
          split.quoted = next_kind() == CharKind::kLetter;
        } else if (c == U'-' && next_kind() == CharKind::kSpace) {
          split.comma();
        }
        break;
      case CharKind::kEnd:
        // "3.5", "u.s.", "mt. fuji": no end.
        if (c == U'.' && next_kind() == CharKind::kDigit && std::ranges::all_of(split.word, is_digit_of_word) &&
            !split.word.empty()) {
          split.word += '.';
        } else if (c == U'.' && !split.word.empty() &&
                   (is_abbreviation(split.word) || next_kind() == CharKind::kDigit)) {
          split.end_word();
        } else {
          split.end_sentence();
        }
        break;
      case CharKind::kSpace:
        split.end_word();
        break;
      case CharKind::kAmpersand:
        split.end_word();
        split.add("and", Tag::kConjunction);
        break;
      case CharKind::kHash:
        split.end_word();
        split.hashtag = next_kind() == CharKind::kLetter || next_kind() == CharKind::kDigit;
        break;
      case CharKind::kIgnored:
        break;
      case CharKind::kMark:
        split.comma();
        break;
    }
  }
  split.end_sentence();
  split.sentences.pop_back();  // behind the last sentence
  for (CaptionSentence& sentence : split.sentences) {
    while (!sentence.empty() && sentence.back().tag == Tag::kComma) sentence.pop_back();
    join_idioms(sentence);
    join_adjectives(sentence);
  }
  return std::move(split.sentences);
}

}  // namespace vicha::text_detail
