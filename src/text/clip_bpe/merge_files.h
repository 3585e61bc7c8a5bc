// The vocabulary files of CLIP's tokenizer. Used inside this room only (see `ClipBpe::load`).
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vicha::text_detail {

inline constexpr std::string_view kStartOfText = "<|startoftext|>", kEndOfText = "<|endoftext|>", kEndOfWord = "</w>";

/// Every byte as a visible character, as the files spell them: printable ASCII and Latin-1 are themselves, the others
/// U+0100 and on. `order` is the order in which OpenAI numbers them.
struct ByteAlphabet {
  std::array<std::string, 256> spelling;
  std::array<unsigned char, 256> order;
};
const ByteAlphabet& byte_alphabet();

/// A token as the files spell it, as bytes; characters beyond the alphabet stay what they are.
std::string bytes_of_spelling(std::string_view spelling);

struct BpeFile {
  std::string name;  ///< for messages
  std::vector<std::pair<std::string, std::int64_t>> tokens =
      {};  ///< spelling, id; a spelling that comes again counts last
  std::vector<std::pair<std::string, std::string>> merges = {};  ///< earliest first
  std::int64_t size = 0;                                         ///< ids are below
};
BpeFile read_bpe_file(const std::filesystem::path& path);

}  // namespace vicha::text_detail
