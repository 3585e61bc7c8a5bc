#include "concepts/store/store_npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <optional>

#include "base/error.h"

namespace vicha::store_detail {
namespace {

constexpr std::string_view kNpyMagic = "\x93NUMPY";
constexpr std::size_t kNpyAlign = 64;

/// Reads the header's text: a Python dict literal of a string, a bool and a tuple of integers.
class DictReader {
 public:
  DictReader(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  NpyHeader read() {
    NpyHeader header;
    bool type = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !type) {
        type = true;
        header.type = quoted();
      } else if (key == "fortran_order" && !order) {
        order = true;
        read_order();
      } else if (key == "shape" && !shape) {
        shape = true;
        header.shape = integers();
      } else {
        fail();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!text_.empty() || !type || !order || !shape) fail();
    return header;
  }

 private:
  [[noreturn]] void fail() const { throw DataError(where_, "its NumPy header is not readable"); }
  void skip_space() { text_.remove_prefix(std::min(text_.find_first_not_of(" \n\t\r"), text_.size())); }
  bool accept(char c) {
    skip_space();
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail();
  }
  std::string quoted() {
    skip_space();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) {
      if (text_.starts_with('[')) throw DataError(where_, "holds records of several fields, not an array of numbers");
      fail();
    }
    const std::size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) fail();
    std::string result(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return result;
  }
  void read_order() {
    skip_space();
    if (text_.starts_with("True")) {
      throw DataError(where_, "is stored column by column", "Save numpy.ascontiguousarray of it");
    }
    if (!text_.starts_with("False")) fail();
    text_.remove_prefix(5);
  }
  std::vector<std::int64_t> integers() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!accept(')')) {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
      if (error != std::errc() || value < 0) fail();
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      values.push_back(value);
      if (!accept(',')) {
        expect(')');
        break;
      }
      skip_space();
    }
    return values;
  }

  std::string_view text_;
  const std::string& where_;
};

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

std::string encode_npy_header(std::string_view type, const std::vector<std::int64_t>& shape) {
  const std::string dict = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", type,
                                       fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  constexpr std::size_t kFixed = kNpyMagic.size() + 2 + 2;
  const std::size_t size = (kFixed + dict.size() + 1 + kNpyAlign - 1) / kNpyAlign * kNpyAlign;
  VICHA_ASSERT(size - kFixed < 0x10000);
  const std::size_t length = size - kFixed;
  std::string out(kNpyMagic);
  out += {'\x01', '\0', static_cast<char>(length & 255), static_cast<char>(length >> 8)};
  out += dict;
  out.append(size - out.size() - 1, ' ');
  out += '\n';
  return out;
}

NpyHeader decode_npy_header(std::string_view file, const std::string& where) {
  if (!file.starts_with(kNpyMagic) || file.size() < kNpyMagic.size() + 6) {
    throw DataError(where, "is not a NumPy file", "Save the array with numpy.save");
  }
  const int version = file[kNpyMagic.size()];
  if (version < 1 || version > 3) throw DataError(where, fmt::format("is a NumPy file of version {}", version));
  const std::size_t bytes = version == 1 ? 2 : 4, begin = kNpyMagic.size() + 2 + bytes;
  const std::size_t length = little_endian(file.substr(kNpyMagic.size() + 2, bytes));
  if (length > file.size() - begin) throw DataError(where, "is cut off in its header", "Copy the file again");
  NpyHeader header = DictReader(file.substr(begin, length), where).read();
  header.data = begin + length;
  return header;
}

}  // namespace vicha::store_detail
