#include "text/cleaning/label.h"

#include <utf8proc.h>

#include <array>

namespace vicha::cleaning {
namespace {

void append(std::string& text, utf8proc_int32_t point) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto length = utf8proc_encode_char(point, bytes.data());
  text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(length));
}

bool is_space(utf8proc_int32_t point) {
  if ((point >= 0x09 && point <= 0x0d) || (point >= 0x1c && point <= 0x1f) || point == 0x85) return true;
  const auto category = utf8proc_category(point);
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

}  // namespace

std::size_t next_point(std::string_view text, std::int32_t& point) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const utf8proc_ssize_t length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size()), &point);
  return length > 0 ? static_cast<std::size_t>(length) : 0;
}

std::string lower(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for_each_point(text, [&](utf8proc_int32_t point, std::string_view) { append(result, utf8proc_tolower(point)); });
  return result;
}

std::string clean(std::string_view text) {
  std::string result;
  bool blank = false;
  for_each_point(text, [&](utf8proc_int32_t point, std::string_view bytes) {
    if (is_space(point)) {
      blank = true;
      return;
    }
    if (blank && !result.empty()) result += ' ';
    blank = false;
    if (point == 0x201c || point == 0x201d) {
      result += '"';
    } else if (point == 0x2019) {
      result += '\'';
    } else {
      result += bytes;
    }
  });
  return result;
}

}  // namespace vicha::cleaning
