// The texts of pickles: UTF-8, and the escapes of the text protocol.
#include <cerrno>
#include <cstdlib>

#include "checkpoint/pickle/pickle_vm.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha::pickle {
namespace {

constexpr unsigned char kGlobal = 'c', kInst = 'i', kInt = 'I', kLong = 'L', kFloat = 'F', kString = 'S',
                        kUnicode = 'V', kGet = 'g', kPut = 'p';

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// `count` hexadecimal digits of `text` from `at`, or nothing.
bool read_hex(std::string_view text, std::size_t at, std::size_t count, std::uint32_t& value) {
  if (at + count > text.size()) return false;
  value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    const int digit = hex_value(text[i]);
    if (digit < 0) return false;
    value = value << 4 | static_cast<std::uint32_t>(digit);
  }
  return true;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char first = byte(i);
    const std::size_t length = first < 0x80   ? 1
                               : first < 0xc2 ? 0
                               : first < 0xe0 ? 2
                               : first < 0xf0 ? 3
                               : first < 0xf5 ? 4
                                              : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    }
    // Overlong forms, surrogates, and beyond U+10FFFF.
    if ((first == 0xe0 && byte(i + 1) < 0xa0) || (first == 0xed && byte(i + 1) > 0x9f) ||
        (first == 0xf0 && byte(i + 1) < 0x90) || (first == 0xf4 && byte(i + 1) > 0x8f)) {
      return false;
    }
    i += length;
  }
  return true;
}

void append_utf8(std::string& text, std::uint32_t code_point) {
  const auto put = [&](std::uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
    put(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  } else {
    put(0xf0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3f));
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  }
}

std::optional<std::string> unquote(std::string_view quoted) {
  if (quoted.size() < 2 || quoted.front() != quoted.back() || (quoted.front() != '\'' && quoted.front() != '"')) {
    return std::nullopt;
  }
  const std::string_view text = quoted.substr(1, quoted.size() - 2);
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      result.push_back(text[i]);
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    std::uint32_t value = 0;
    switch (text[i]) {
      case 'n':
        result.push_back('\n');
        break;
      case 'r':
        result.push_back('\r');
        break;
      case 't':
        result.push_back('\t');
        break;
      case '\\':
      case '\'':
      case '"':
        result.push_back(text[i]);
        break;
      case 'x':
        if (!read_hex(text, i + 1, 2, value)) return std::nullopt;
        result.push_back(static_cast<char>(value));
        i += 2;
        break;
      default:
        return std::nullopt;
    }
  }
  return result;
}

std::optional<std::string> unescape_unicode(std::string_view text) {
  std::string result;
  std::uint32_t high = 0;  // the first half of a pair of \u escapes
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::uint32_t value = static_cast<unsigned char>(text[i]);
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 'u' || text[i + 1] == 'U')) {
      const std::size_t digits = text[i + 1] == 'u' ? 4 : 8;
      if (!read_hex(text, i + 2, digits, value)) return std::nullopt;
      i += 1 + digits;
    }
    if (high != 0) {
      if (value < 0xdc00 || value > 0xdfff) return std::nullopt;
      value = 0x10000 + ((high - 0xd800) << 10) + (value - 0xdc00);
      high = 0;
    } else if (value >= 0xd800 && value <= 0xdbff) {
      high = value;
      continue;
    } else if ((value >= 0xdc00 && value <= 0xdfff) || value > 0x10ffff) {
      return std::nullopt;
    }
    append_utf8(result, value);
  }
  if (high != 0) return std::nullopt;
  return result;
}

/// The instructions of the text protocol; their arguments end with a line feed.
bool Machine::step_text(unsigned char opcode) {
  const auto kept = [this](std::optional<std::string> text) {
    if (!text) fail("has a badly written text");
    return keep(std::move(*text));
  };
  switch (opcode) {
    case kGlobal: {
      const std::string_view module = line();
      push_global(module, line());
      break;
    }
    case kInst: {
      const std::string_view module = line();
      refuse_code(module, line());
    }
    case kGet:
    case kPut: {
      const std::string text(line());
      if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos) {
        fail("has a bad memo index");
      }
      opcode == kGet ? fetch(std::stoul(text)) : store(std::stoul(text));
      break;
    }
    case kInt:
    case kLong: {
      std::string text(line());
      if (opcode == kInt && (text == "00" || text == "01")) {
        Ref ref{Ref::Tag::kBool, {}};
        ref.integer = text == "01";
        push(ref);
        break;
      }
      if (!text.empty() && text.back() == 'L') text.pop_back();
      char* end = nullptr;
      errno = 0;
      const std::int64_t value = std::strtoll(text.c_str(), &end, 10);
      if (text.empty() || *end != '\0' || errno != 0)
        fail("has a bad whole number (" + in_quotes(text.substr(0, 40)) + ")");
      push_int(value);
      break;
    }
    case kFloat: {
      const std::string text(line());
      char* end = nullptr;
      Ref ref{Ref::Tag::kDouble, {}};
      ref.real = std::strtod(text.c_str(), &end);
      if (text.empty() || *end != '\0') fail("has a bad number (" + in_quotes(text.substr(0, 40)) + ")");
      push(ref);
      break;
    }
    case kString:
      push_python2_text(kept(unquote(line())));
      break;
    case kUnicode:
      push_text(kept(unescape_unicode(line())));
      break;
    default:
      return false;
  }
  return true;
}

}  // namespace vicha::pickle
