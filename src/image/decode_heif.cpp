// HEIC, the format of phones, by libheif: the main image, turned as the file says.
#include <fmt/format.h>
#include <libheif/heif.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/native.h"

namespace vicha::decoders {
namespace {

void check(const Source& source, const heif_error& error) {
  if (error.code == heif_error_Ok) return;
  if (error.subcode == heif_suberror_End_of_data) source.truncated();
  std::string why = error.message;
  while (!why.empty() && (why.back() == '\n' || why.back() == '.')) why.pop_back();
  if (error.code == heif_error_Unsupported_filetype || error.code == heif_error_Unsupported_feature) {
    source.fail(fmt::format("a HEIF file of a kind that is not read: {}", why));
  }
  source.fail(fmt::format("not a readable HEIC: {}", why));
}

/// Bits of HEVC's parameter sets, most significant first; 0 beyond the end.
class Bits {
 public:
  explicit Bits(std::span<const std::uint8_t> bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const bool escape = i >= 2 && bytes[i] == 3 && bytes[i - 1] == 0 && bytes[i - 2] == 0;
      if (!escape) bytes_.push_back(bytes[i]);
    }
  }
  void skip(std::size_t bits) { at_ += bits; }
  unsigned bit() {
    const std::size_t at = at_++;
    return at / 8 < bytes_.size() ? bytes_[at / 8] >> (7 - at % 8) & 1u : 0u;
  }
  unsigned bits(int count) {
    unsigned value = 0;
    while (count-- > 0) value = value << 1 | bit();
    return value;
  }
  /// An Exp-Golomb code.
  std::uint64_t code() {
    int zeros = 0;
    while (zeros < 32 && at_ < 8 * bytes_.size() && bit() == 0) ++zeros;
    std::uint64_t value = 1;
    for (int i = 0; i < zeros; ++i) value = value << 1 | bit();
    return value - 1;
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

/// Of a sequence parameter set (H.265, 7.3.2.2), without its header: the size that decoding takes memory for.
void check_sequence(const Source& source, std::span<const std::uint8_t> set) {
  Bits bits(set);
  bits.skip(4);
  const unsigned layers = bits.bits(3);
  bits.skip(1 + 96);
  std::array<std::pair<unsigned, unsigned>, 8> present{};
  for (unsigned i = 0; i < layers; ++i) present[i] = {bits.bit(), bits.bit()};
  if (layers > 0) bits.skip(2 * (8 - layers));
  for (unsigned i = 0; i < layers; ++i) bits.skip(88 * present[i].first + 8 * present[i].second);
  bits.code();
  if (bits.code() == 3) bits.skip(1);
  const std::uint64_t width = bits.code(), height = bits.code();
  if (width > 0 && height > 0) source.check_size(static_cast<std::int64_t>(width), static_cast<std::int64_t>(height));
}

/// libheif looks at the sizes that the file claims only, and decodes what the streams have: those are held against the
/// limit here, wherever a configuration of HEVC stands in the file.
void check_streams(const Source& source) {
  const std::span<const std::uint8_t> all = source.bytes;
  constexpr std::string_view kBox = "hvcC";
  constexpr std::size_t kMostBytes = 1 << 16;  // of one; they take a few hundred
  int left = 1000;
  for (auto found = all.begin(); (found = std::search(found, all.end(), kBox.begin(), kBox.end())) != all.end();) {
    found += kBox.size();
    std::span<const std::uint8_t> box(found, all.end());
    box = box.first(std::min(box.size(), kMostBytes));
    if (box.size() < 23) return;
    if (--left < 0) source.fail("a HEIC of more than 1000 configurations");
    const auto take = [&box](std::size_t count) {
      const auto taken = box.first(std::min(count, box.size()));
      box = box.subspan(taken.size());
      return taken;
    };
    const auto number = [&take] {
      const auto two = take(2);
      return two.size() < 2 ? 0u : unsigned{two[0]} << 8 | two[1];
    };
    const unsigned arrays = take(23)[22];
    for (unsigned i = 0; i < arrays && !box.empty(); ++i) {
      const unsigned type = take(1)[0] & 0x3fu;
      for (unsigned n = number(); n > 0 && !box.empty(); --n) {
        constexpr unsigned kSequenceSet = 33;
        const auto unit = take(number());
        if (type == kSequenceSet && unit.size() > 2) check_sequence(source, unit.subspan(2));
      }
    }
  }
}

template <class T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

}  // namespace

NativeImage heif(const Source& source) {
  const Owned<heif_context> context(heif_context_alloc(), heif_context_free);
  heif_context_set_max_decoding_threads(context.get(), 0);  // each caller has threads of its own
  check(source,
        heif_context_read_from_memory_without_copy(context.get(), source.bytes.data(), source.bytes.size(), nullptr));
  heif_image_handle* raw_handle = nullptr;
  check(source, heif_context_get_primary_image_handle(context.get(), &raw_handle));
  const Owned<const heif_image_handle> handle(raw_handle, heif_image_handle_release);
  source.check_size(heif_image_handle_get_width(handle.get()), heif_image_handle_get_height(handle.get()));
  check_streams(source);
  const bool alpha = heif_image_handle_has_alpha_channel(handle.get()) != 0;

  const Owned<heif_decoding_options> options(heif_decoding_options_alloc(), heif_decoding_options_free);
  options->convert_hdr_to_8bit = 1;
  options->strict_decoding = source.options.accept_truncated ? 0 : 1;
  heif_image* raw_image = nullptr;
  check(source, heif_decode_image(handle.get(), &raw_image, heif_colorspace_RGB,
                                  alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, options.get()));
  const Owned<const heif_image> decoded(raw_image, heif_image_release);
  int stride = 0;
  const std::uint8_t* rows = heif_image_get_plane_readonly(decoded.get(), heif_channel_interleaved, &stride);
  const int width = heif_image_get_width(decoded.get(), heif_channel_interleaved);
  const int height = heif_image_get_height(decoded.get(), heif_channel_interleaved);
  source.check_size(width, height);
  if (rows == nullptr) source.fail("not a readable HEIC: it has no pixels");
  NativeImage image;
  image.mode = alpha ? PixelMode::kRgba : PixelMode::kRgb;
  image.pixels = Image(width, height, alpha ? 4 : 3);
  for (int y = 0; y < height; ++y) {
    std::copy_n(rows + static_cast<std::ptrdiff_t>(y) * stride, static_cast<std::size_t>(width) * image.pixels.channels,
                image.pixels.row(y));
  }
  return image;
}

}  // namespace vicha::decoders
