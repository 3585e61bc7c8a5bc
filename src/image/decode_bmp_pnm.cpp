// The two plain formats: BMP without compression, and PBM, PGM and PPM with binary samples of 8 bits.
#include <algorithm>
#include <cstring>

#include "image/native.h"

namespace vicha::decoders {
namespace {

/// Little-endian fields at any offset; truncated() beyond the end.
class Fields {
 public:
  explicit Fields(const Source& source) : source_(source) {}
  std::uint32_t u32(std::size_t at) const { return u16(at) | static_cast<std::uint32_t>(u16(at + 2)) << 16; }
  std::uint16_t u16(std::size_t at) const { return static_cast<std::uint16_t>(u8(at) | u8(at + 1) << 8); }
  std::uint8_t u8(std::size_t at) const {
    if (at >= source_.bytes.size()) source_.truncated();
    return source_.bytes[at];
  }

 private:
  const Source& source_;
};

/// Refuses, before memory is taken, a file that cannot hold its rows.
void check_length(const Source& source, std::size_t at, std::size_t stride, std::int64_t height) {
  if (source.options.accept_truncated) return;
  const std::size_t size = source.bytes.size();
  if (at > size || stride * static_cast<std::size_t>(height) > size - at) source.truncated();
}

/// The row's bytes, or nothing where the file has ended and that is accepted.
const std::uint8_t* row_bytes(const Source& source, std::size_t at, std::size_t size) {
  if (at <= source.bytes.size() && size <= source.bytes.size() - at) return source.bytes.data() + at;
  return nullptr;
}

/// Sample `x` of a row of samples of 1, 2, 4 or 8 bits, most significant first.
std::uint8_t packed_sample(const std::uint8_t* row, int x, int bits) {
  const int per_byte = 8 / bits;
  return static_cast<std::uint8_t>(row[x / per_byte] >> (8 - bits * (x % per_byte + 1)) & ((1 << bits) - 1));
}

void read_bmp_palette(const Source& source, const Fields& fields, std::size_t at, std::size_t entry, std::size_t count,
                      NativeImage& image) {
  image.palette = black_palette();
  for (std::size_t i = 0; i < std::min<std::size_t>(count, 256); ++i) {
    if (at + entry * (i + 1) > source.bytes.size()) source.truncated();
    const std::size_t p = at + entry * i;
    image.palette[i] = {fields.u8(p + 2), fields.u8(p + 1), fields.u8(p), 255};
  }
}

/// The number at `position`, past white space and comments; leaves `position` behind it.
std::int64_t pnm_number(const Source& source, std::size_t& position) {
  const std::span<const std::uint8_t> bytes = source.bytes;
  const auto at_space = [&] { return std::strchr(" \t\n\v\f\r", bytes[position]) != nullptr && bytes[position] != 0; };
  while (position < bytes.size() && (at_space() || bytes[position] == '#')) {
    if (bytes[position] == '#') {
      while (position < bytes.size() && bytes[position] != '\n' && bytes[position] != '\r') ++position;
    } else {
      ++position;
    }
  }
  std::int64_t value = 0;
  const std::size_t start = position;
  while (position < bytes.size() && bytes[position] >= '0' && bytes[position] <= '9' && value < 1'000'000'000) {
    value = value * 10 + (bytes[position++] - '0');
  }
  if (position == bytes.size()) source.truncated();
  if (position == start) source.fail("not a readable PNM: a number is missing in the header");
  return value;
}

}  // namespace

NativeImage bmp(const Source& source) {
  const Fields fields(source);
  const std::size_t pixels_at = fields.u32(10), header = fields.u32(14);
  const bool old = header == 12;
  if (!old && header < 40) source.fail("a BMP with an unknown header");
  const std::int64_t width = old ? fields.u16(18) : static_cast<std::int32_t>(fields.u32(18));
  const std::int64_t signed_height = old ? fields.u16(20) : static_cast<std::int32_t>(fields.u32(22));
  const std::int64_t height = std::abs(signed_height);
  const int bits = fields.u16(old ? 24 : 28);
  if (!old && fields.u32(30) != 0) source.fail("a compressed BMP or one with bit masks, which is not read");
  source.check_size(width, height);
  if (bits != 1 && bits != 4 && bits != 8 && bits != 24 && bits != 32) {
    source.fail("a BMP of " + std::to_string(bits) + " bits a pixel, which is not read");
  }

  NativeImage image;
  if (bits <= 8) {
    const std::size_t given = old ? 0 : fields.u32(46);
    image.mode = PixelMode::kPalette;
    read_bmp_palette(source, fields, 14 + header, old ? 3 : 4, given != 0 ? given : std::size_t{1} << bits, image);
  }
  const std::size_t stride = (static_cast<std::size_t>(width) * bits + 31) / 32 * 4;
  check_length(source, pixels_at, stride, height);
  image.pixels = Image(static_cast<int>(width), static_cast<int>(height), bits <= 8 ? 1 : 3);
  for (int i = 0; i < height; ++i) {
    const std::uint8_t* in = row_bytes(source, pixels_at + stride * i, stride);
    if (in == nullptr) break;
    std::uint8_t* out = image.pixels.row(static_cast<int>(signed_height < 0 ? i : height - 1 - i));
    for (int x = 0; x < width; ++x) {
      if (bits <= 8) {
        out[x] = packed_sample(in, x, bits);
      } else {
        const std::uint8_t* bgr = in + static_cast<std::size_t>(x) * (bits / 8);
        for (int c = 0; c < 3; ++c) out[3 * x + c] = bgr[2 - c];
      }
    }
  }
  return image;
}

NativeImage pnm(const Source& source) {
  const char kind = static_cast<char>(source.bytes[1]);
  std::size_t position = 2;
  const std::int64_t width = pnm_number(source, position);
  const std::int64_t height = pnm_number(source, position);
  const std::int64_t maximum = kind == '4' ? 1 : pnm_number(source, position);
  source.check_size(width, height);
  if (maximum < 1 || maximum > 255) source.fail("a PNM whose samples have not 8 bits, which is not read");
  ++position;  // exactly one white-space character ends the header

  NativeImage image;
  image.mode = kind == '4' ? PixelMode::kBilevel : kind == '5' ? PixelMode::kGrey : PixelMode::kRgb;
  const int channels = kind == '6' ? 3 : 1;
  const std::size_t samples = static_cast<std::size_t>(width) * channels;
  const std::size_t stride = kind == '4' ? (samples + 7) / 8 : samples;
  check_length(source, position, stride, height);
  image.pixels = Image(static_cast<int>(width), static_cast<int>(height), channels);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* in = row_bytes(source, position + stride * y, stride);
    if (in == nullptr) break;
    std::uint8_t* out = image.pixels.row(y);
    for (std::size_t i = 0; i < samples; ++i) {
      if (kind == '4') {
        out[i] = packed_sample(in, static_cast<int>(i), 1) != 0 ? 0 : 255;
      } else {
        // Python's round(), as Pillow applies it: halves go to the even neighbour.
        const std::int64_t scaled = 255 * std::min<std::int64_t>(in[i], maximum);
        const std::int64_t whole = scaled / maximum, twice = 2 * (scaled % maximum);
        out[i] = static_cast<std::uint8_t>(whole + (twice > maximum || (twice == maximum && (whole & 1) != 0)));
      }
    }
  }
  return image;
}

}  // namespace vicha::decoders
