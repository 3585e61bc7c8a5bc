#include "text/cleaning/caption.h"

#include <utf8proc.h>

#include "text/utf8.h"

namespace vicha {
namespace {

constexpr std::string_view kDeleted = ",.'!?\"()*#:;~";

// Lower-cased, without the deleted characters, '-' and '/' as spaces.
std::string without_marks(std::string_view text) {
  std::string out = text_detail::lower(text);
  std::size_t kept = 0;
  for (const char c : out) {
    if (kDeleted.find(c) == std::string_view::npos) out[kept++] = c == '-' || c == '/' ? ' ' : c;
  }
  out.resize(kept);
  return out;
}

/// What nobody sees: joiners, marks of direction and of byte order, control characters, selectors of variants.
bool is_invisible(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CC || (c >= 0xFE00 && c <= 0xFE0F);
}

void replace_persons(std::string& text) {
  constexpr std::string_view kMarked = "<person>";
  for (auto at = text.find(kMarked); at != std::string::npos; at = text.find(kMarked, at)) {
    text.erase(at + kMarked.size() - 1, 1).erase(at, 1);
  }
}

std::string collapse_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    int spaces = 0;
    std::size_t end = at;
    while (at < text.size() && text_detail::is_space(text_detail::next_code_point(text, at))) {
      ++spaces;
      end = at;
    }
    if (spaces == 0) {
      out.append(text.substr(start, at - start));  // one character that is no space
      continue;
    }
    if (spaces == 1) {
      out.append(text.substr(start, end - start));
    } else {
      out += ' ';
    }
    at = end;
  }
  return out;
}

void strip_right(std::string& text, char c) { text.resize(text.find_last_not_of(c) + 1); }  // npos + 1 is 0

void keep_words(std::string& text, std::size_t max_words) {
  if (max_words == 0) text.clear();
  for (std::size_t at = 0, words = 0; (at = text.find(' ', at)) != std::string::npos; ++at) {
    if (++words == max_words) text.resize(at);
  }
}

}  // namespace

std::string clean_caption(std::string_view text, std::size_t max_words) {
  std::string caption = without_marks(text);
  replace_persons(caption);
  caption = collapse_spaces(caption);
  strip_right(caption, '\n');
  strip_right(caption, ' ');
  caption.erase(0, caption.find_first_not_of(' '));
  keep_words(caption, max_words);
  return caption;
}

std::string clean_question(std::string_view text, std::size_t max_words) {
  std::string question = without_marks(text);
  strip_right(question, ' ');
  keep_words(question, max_words);
  return question;
}

bool has_words(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = text_detail::next_code_point(text, at);
    const bool deleted =
        c < 0x80 && (kDeleted.find(static_cast<char>(c)) != std::string_view::npos || c == '-' || c == '/');
    if (!deleted && !text_detail::is_space(c) && !is_invisible(c)) return true;
  }
  return false;
}

}  // namespace vicha
