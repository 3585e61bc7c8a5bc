#include <algorithm>

#include "text/cleaning/prose_steps.h"

namespace vicha::text_detail::prose {
namespace {

constexpr std::size_t kLongestBracketTag = 300;  // bytes

bool starts(std::string_view text, std::string_view with) {
  return text.size() >= with.size() && small(text.substr(0, with.size())) == with;
}

/// "p" of "p class=x", "/p", "br/".
std::string tag_name(std::string_view inside) {
  if (inside.starts_with('/')) inside.remove_prefix(1);
  std::size_t end = 0;
  while (end < inside.size() && (latin(inside[end]) || digit(inside[end]))) ++end;
  return small(inside.substr(0, end));
}

class Markup {
 public:
  explicit Markup(std::string_view text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (text_[at_] == '<' && angle()) continue;
      if (text_[at_] == '[' && square()) continue;
      out_ += text_[at_++];
    }
    return std::move(out_);
  }

 private:
  std::string_view rest() const { return text_.substr(at_); }

  // Behind what is gone; without its end it reaches to the text's, as in browsers.
  void skip_behind(std::string_view end) {
    const std::size_t found = text_.find(end, at_);
    at_ = found == text_.npos ? text_.size() : found + end.size();
  }

  bool angle() {
    const std::string_view tag = rest();
    if (tag.starts_with("<!--")) return skip_behind("-->"), true;
    if (tag.starts_with("<?")) return skip_behind(">"), true;
    if (starts(tag, "<![cdata[")) return at_ += 9, true;
    const char first = tag.size() > 1 ? tag[1] : ' ';
    const bool closes = first == '/' && tag.size() > 2 && latin(tag[2]);
    if (!latin(first) && !closes && first != '!' && first != '|') return false;
    const std::size_t end = tag.find_first_of("<>", 1);
    const std::string name = tag_name(tag.substr(first == '|' ? 2 : 1));
    if (end == tag.npos || tag[end] == '<') return unclosed(tag, name, end);
    at_ += end + 1;
    if (name == "person" && end == 7) {
      out_ += "person";
    } else if (web_words("block_tag").contains(name)) {
      out_ += '\n';
    } else if (web_words("silent_tag").contains(name)) {
      out_ += ' ';
    } else if (name.size() > 6 || first == '|') {
      out_ += ' ';  // no inline tag: something's placeholder
    }
    if (!closes && web_words("silent_tag").contains(name) && tag[end - 1] != '/') skip_element(name);
    return true;
  }

  // "<a href=http://…" and "<br" at the text's or a line's end are tags that were cut off; "x <y" is none.
  bool unclosed(std::string_view tag, const std::string& name, std::size_t next) {
    const std::string_view inside = tag.substr(0, next);
    const bool attributes = inside.find('=') != inside.npos && inside.find(' ') != inside.npos;
    const bool known = (web_words("block_tag").contains(name) || web_words("silent_tag").contains(name)) &&
                       next == tag.npos && inside.find(' ') == inside.npos;
    if (!attributes && !known) return false;
    at_ += inside.size();
    out_ += '\n';
    return true;
  }

  void skip_element(const std::string& name) {
    const std::string end = "</" + name;
    for (std::size_t at = text_.find("</", at_); at != text_.npos; at = text_.find("</", at + 2)) {
      if (!starts(text_.substr(at), end)) continue;
      at_ = at;
      return;
    }
    at_ = text_.size();
  }

  bool square() {
    const std::string_view tag = rest().substr(0, kLongestBracketTag);
    const std::size_t end = tag.find_first_of("[]", 1);
    if (end == tag.npos || tag[end] != ']') return false;
    const std::string_view inside = tag.substr(1, end - 1);
    const std::string name = tag_name(inside);
    if (!web_words("bracket_tag").contains(name)) return false;
    const std::size_t behind = name.size() + inside.starts_with('/');
    if (inside.size() != behind && inside[behind] != '=') return false;
    at_ += end + 1;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string without_markup(std::string_view text) {
  if (text.find_first_of("<[") == text.npos) return std::string(text);
  return Markup(text).run();
}

}  // namespace vicha::text_detail::prose
