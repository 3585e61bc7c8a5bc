// A reader of the pages that the tests write: strict about tags, so that a page that passes is well-formed.
#pragma once

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace vicha::report_testing {

struct Page {
  struct Element {
    std::string tag;
    std::map<std::string, std::string> attributes;  ///< unescaped
    std::string text;                               ///< unescaped, of this element alone
  };
  std::vector<Element> elements;  ///< in the order of their start tags
  std::string text;               ///< of the whole page but style and script

  std::vector<const Element*> all(std::string_view tag, std::string_view with_class = "") const {
    std::vector<const Element*> out;
    for (const Element& element : elements) {
      if (element.tag != tag) continue;
      const auto at = element.attributes.find("class");
      const std::string classes = at == element.attributes.end() ? "" : " " + at->second + " ";
      if (with_class.empty() || classes.find(" " + std::string(with_class) + " ") != std::string::npos) {
        out.push_back(&element);
      }
    }
    return out;
  }
};

inline std::string unescape(std::string_view text) {
  static const std::map<std::string, std::string, std::less<>> kEntities = {
      {"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"#39", "'"}};
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '&') {
      out += text[i];
      continue;
    }
    const std::size_t end = text.find(';', i);
    if (end == std::string_view::npos) throw std::runtime_error("a bare &");
    const auto entity = kEntities.find(text.substr(i + 1, end - i - 1));
    if (entity == kEntities.end()) throw std::runtime_error("an unknown entity");
    out += entity->second;
    i = end;
  }
  return out;
}

/// Throws std::runtime_error on an element that is not closed properly, an attribute without quotes, a bare < or &.
inline Page parse_page(std::string_view html) {
  Page page;
  std::vector<std::size_t> open;
  std::size_t at = 0;
  const auto fail = [&](const std::string& what) {
    throw std::runtime_error(what + " at: " + std::string(html.substr(at, 80)));
  };
  const auto skip_spaces = [&] {
    while (at < html.size() && (html[at] == ' ' || html[at] == '\n')) ++at;
  };
  constexpr std::string_view kDoctype = "<!DOCTYPE html>\n";
  if (html.starts_with(kDoctype)) at = kDoctype.size();
  while (at < html.size()) {
    if (html[at] != '<') {
      const std::size_t end = std::min(html.find('<', at), html.size());
      const std::string_view raw = html.substr(at, end - at);
      if (raw.find('>') != std::string_view::npos) fail("a bare >");
      const std::string text = unescape(raw);
      if (!open.empty()) page.elements[open.back()].text += text;
      page.text += text;
      at = end;
      continue;
    }
    if (html.substr(at, 2) == "</") {
      const std::size_t end = html.find('>', at);
      if (open.empty() || page.elements[open.back()].tag != html.substr(at + 2, end - at - 2)) fail("a wrong end tag");
      open.pop_back();
      page.text += '\n';
      at = end + 1;
      continue;
    }
    std::size_t end = html.find_first_of(" />", at + 1);
    if (end == std::string_view::npos || end == at + 1) fail("a tag without name");
    Page::Element element{std::string(html.substr(at + 1, end - at - 1)), {}, {}};
    at = end;
    while (true) {
      skip_spaces();
      if (html.substr(at, 2) == "/>" || html.substr(at, 1) == ">") break;
      const std::size_t equals = html.find("=\"", at);
      if (equals == std::string_view::npos) fail("an attribute without value");
      const std::string name(html.substr(at, equals - at));
      const std::size_t quote = html.find('"', equals + 2);
      if (name.find_first_of(" <>\"'") != std::string::npos || quote == std::string_view::npos) fail("a bad attribute");
      const std::string_view value = html.substr(equals + 2, quote - equals - 2);
      if (value.find_first_of("<>") != std::string_view::npos) fail("a bare < or > in an attribute");
      if (!element.attributes.emplace(name, unescape(value)).second) fail("an attribute twice");
      at = quote + 1;
    }
    const bool closed = html[at] == '/';
    at += closed ? 2 : 1;
    page.elements.push_back(element);
    if (closed) continue;
    open.push_back(page.elements.size() - 1);
    if (element.tag == "style" || element.tag == "script") {
      const std::size_t stop = html.find("</" + element.tag + ">", at);
      if (stop == std::string_view::npos) fail("raw text without end");
      page.elements.back().text = html.substr(at, stop - at);
      at = stop;
    }
  }
  if (!open.empty()) throw std::runtime_error("not closed: " + page.elements[open.back()].tag);
  return page;
}

}  // namespace vicha::report_testing
