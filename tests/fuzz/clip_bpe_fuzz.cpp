// CLIP's vocabulary files: merges (with a first byte 'z' packed here, so that gzip's sum is right), vocab.json beside
// fixed merges, tokenizer.json.
#include <zlib.h>

#include <algorithm>

#include "fuzz.h"
#include "text/clip_bpe/clip_bpe.h"

namespace {

using namespace vicha;

std::string packed(std::string_view text) {
  z_stream stream{};
  fuzz::require(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK, "zlib begins");
  std::string out(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  fuzz::require(deflate(&stream, Z_FINISH) == Z_STREAM_END, "zlib ends");
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fuzz::ScratchFolder folder;
  std::string_view text = fuzz::text_of({data, size});
  std::filesystem::path file;
  if (text.starts_with('z')) {
    file = folder.write("merges.gz", packed(text.substr(1)));
  } else {
    folder.write("merges.txt", "#version: 0.2\na b</w>\nab</w> c\n");
    file = folder.write("vocab.json", text);
  }
  fuzz::accepted([&] {
    const ClipBpe tokenizer = ClipBpe::load(file);
    const auto ids = tokenizer.encode(text.substr(0, 256));
    fuzz::require(std::ranges::all_of(ids, [&](std::int64_t id) { return id >= 0 && id < tokenizer.size(); }),
                  "ids are tokens");
    tokenizer.decode(ids);
    fuzz::require(tokenizer.tokenize(text.substr(0, 256), 8).size() <= 8, "a length is kept to");
  });
  folder.clear();
  return 0;
}
