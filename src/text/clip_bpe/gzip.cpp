#include "text/clip_bpe/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/error.h"

namespace vicha {

bool is_gzip(std::string_view data) { return data.starts_with("\x1f\x8b"); }

std::string gunzip(std::string_view data, std::string_view name, std::size_t limit) {
  z_stream stream{};
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  if (inflateInit2(&stream, kGzipOnly) != Z_OK) throw Error("zlib cannot start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  std::string out;
  std::array<char, 1 << 16> piece;
  for (bool ended = false; !data.empty() || !ended;) {
    // zlib counts in 32 bits and never writes to its input.
    const std::size_t given = std::min<std::size_t>(data.size(), 1u << 30);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream.avail_in = static_cast<uInt>(given);
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    if (ended) inflateReset(&stream);
    const int result = inflate(&stream, Z_NO_FLUSH);
    data.remove_prefix(given - stream.avail_in);
    out.append(piece.data(), piece.size() - stream.avail_out);
    ended = result == Z_STREAM_END;
    if (result == Z_BUF_ERROR) throw DataError(name, "is a gzip file that is cut off", "Copy or download it again");
    if (result != Z_OK && !ended) throw DataError(name, "is a damaged gzip file", "Copy or download it again");
    if (out.size() > limit) throw DataError(name, fmt::format("unpacks to more than {} bytes", limit));
  }
  return out;
}

}  // namespace vicha
