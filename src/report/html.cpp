#include "report/html.h"

#include <algorithm>
#include <cstdint>

namespace vicha {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Length of the UTF-8 sequence at the start of `text` (not empty), 0 if there is none: overlong forms, surrogates and
/// code points beyond U+10FFFF are none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const std::uint8_t first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool bad = (first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0);
    return !bad && follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool bad = (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90);
    return !bad && follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

/// Control characters and the non-characters that XML forbids.
bool is_forbidden(std::string_view c) {
  if (c.size() == 1) return (static_cast<std::uint8_t>(c[0]) < 0x20 && c[0] != '\t' && c[0] != '\n') || c[0] == 0x7F;
  if (c.size() == 2) return c[0] == '\xC2' && static_cast<std::uint8_t>(c[1]) < 0xA0;
  return c == "\xEF\xBF\xBE" || c == "\xEF\xBF\xBF";
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view c = text.substr(0, std::max<std::size_t>(length, 1));
    text.remove_prefix(c.size());
    if (length == 0 || is_forbidden(c)) {
      out += kReplacement;
    } else if (c == "&") {
      out += "&amp;";
    } else if (c == "<") {
      out += "&lt;";
    } else if (c == ">") {
      out += "&gt;";
    } else if (c == "\"") {
      out += "&quot;";
    } else if (c == "'") {
      out += "&#39;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string data_uri(std::string_view type, std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out = "data:" + std::string(type) + ";base64,";
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (j < count ? static_cast<std::uint8_t>(bytes[i + j]) : 0);
    for (std::size_t j = 0; j < 4; ++j) out += j <= count ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

Html::Element::~Element() {
  html_.out_ += "</";
  html_.out_ += tag_;
  html_.out_ += '>';
}

void Html::start(std::string_view tag, const Attributes& attributes, std::string_view end) {
  out_ += '<';
  out_ += tag;
  for (const auto& [name, value] : attributes) {
    out_ += ' ';
    out_ += name;
    out_ += "=\"" + escape_html(value) + '"';
  }
  out_ += end;
}

Html::Element Html::element(std::string_view tag, const Attributes& attributes) {
  start(tag, attributes, ">");
  return Element(*this, tag);
}

void Html::leaf(std::string_view tag, const Attributes& attributes, std::string_view text) {
  const Element element = this->element(tag, attributes);
  out_ += escape_html(text);
}

void Html::empty(std::string_view tag, const Attributes& attributes) { start(tag, attributes, " />"); }

}  // namespace vicha
