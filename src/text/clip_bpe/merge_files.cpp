#include "text/clip_bpe/merge_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "base/file_content.h"
#include "base/files.h"
#include "base/json_depth.h"
#include "text/clip_bpe/gzip.h"
#include "text/utf8.h"

namespace vicha::text_detail {
namespace {

using nlohmann::json;
namespace stdfs = std::filesystem;

constexpr std::size_t kLargestFile = 64u << 20;  // bytes; OpenAI's has 3 MB unpacked
constexpr std::int64_t kMostIds = 1 << 20;       // some memory for each, whether the file has a token for it or not
constexpr std::size_t kOpenAiMerges = 49152 - 256 - 2;  // what the published models take of the file

[[noreturn]] void not_a_vocabulary(std::string_view name, std::string_view what) {
  throw DataError(
      name, what,
      "Expected OpenAI's bpe_simple_vocab_16e6.txt.gz, or the vocab.json with merges.txt or tokenizer.json of "
      "a CLIP model");
}

/// Two words with a space between them.
std::pair<std::string, std::string> read_merge(std::string_view line, std::string_view name, std::size_t number) {
  const std::size_t space = line.find(' ');
  if (space == 0 || space == std::string_view::npos || space + 1 == line.size() ||
      line.find(' ', space + 1) != std::string_view::npos || !is_utf8(line)) {
    not_a_vocabulary(name, fmt::format("line {} is not a merge of two tokens", number));
  }
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

// `text`: a title line, then merges; empty lines end it.
void read_merges(std::string_view text, BpeFile& file, std::size_t most) {
  std::size_t number = 0;
  while (!text.empty() && file.merges.size() < most) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number;
    if (number == 1) {
      if (line.find("#version") == std::string_view::npos)
        not_a_vocabulary(file.name, "does not start as such files do");
      continue;
    }
    if (line.empty() && text.find_first_not_of("\r\n") == std::string_view::npos) break;
    file.merges.push_back(read_merge(line, file.name, number));
  }
}

BpeFile from_merges(std::string_view text, std::string name) {
  BpeFile file{.name = std::move(name)};
  read_merges(text, file, kOpenAiMerges);
  const auto add = [&](std::string spelling) { file.tokens.emplace_back(std::move(spelling), file.size++); };
  const ByteAlphabet& alphabet = byte_alphabet();
  for (const unsigned char byte : alphabet.order) add(alphabet.spelling[byte]);
  for (const unsigned char byte : alphabet.order) add(alphabet.spelling[byte] + std::string(kEndOfWord));
  for (const auto& [left, right] : file.merges) add(left + right);
  add(std::string(kStartOfText));
  add(std::string(kEndOfText));
  return file;
}

void add_token(BpeFile& file, const std::string& spelling, const json& id) {
  if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() >= kMostIds) {
    not_a_vocabulary(file.name, fmt::format("token '{}' has no id", spelling));
  }
  file.tokens.emplace_back(spelling, id.get<std::int64_t>());
  file.size = std::max(file.size, file.tokens.back().second + 1);
}

void add_vocabulary(BpeFile& file, const json& vocabulary) {
  for (const auto& [spelling, id] : vocabulary.items()) add_token(file, spelling, id);
}

BpeFile from_tokenizer_json(const json& root, std::string name) {
  BpeFile file{.name = std::move(name)};
  const auto of = [](const json& value, const char* key) {
    return value.is_object() ? value.value(key, json()) : json();
  };
  const json model = of(root, "model"), vocabulary = of(model, "vocab"), merges = of(model, "merges");
  if (!vocabulary.is_object() || !merges.is_array()) not_a_vocabulary(file.name, "has no byte-pair model");
  if (of(model, "end_of_word_suffix") != kEndOfWord) {
    not_a_vocabulary(file.name, "is another kind of tokenizer: its words do not end with </w>");
  }
  add_vocabulary(file, vocabulary);
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const json& merge = merges[i];
    if (merge.is_string()) {  // the older form: "a b"
      file.merges.push_back(read_merge(merge.get_ref<const std::string&>(), file.name, i + 1));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      file.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
    } else {
      not_a_vocabulary(file.name, fmt::format("merge {} is not a merge of two tokens", i + 1));
    }
  }
  const json added = of(root, "added_tokens");
  for (const json& token : added) {
    const json content = of(token, "content");
    if (content == kStartOfText || content == kEndOfText) add_token(file, content.get<std::string>(), of(token, "id"));
  }
  return file;
}

std::string read_limited(const stdfs::path& path) {
  std::error_code failed;
  if (stdfs::file_size(path, failed) > kLargestFile && !failed) not_a_vocabulary(path.string(), "is too large");
  std::string data = read_file(path);
  if (is_gzip(data)) return gunzip(data, path.string(), kLargestFile);
  require_text(data, path.string());
  return data;
}

BpeFile from_json(std::string_view text, const stdfs::path& path) {
  const json root = nests_deeper(text) ? json() : json::parse(text, nullptr, false);
  if (!root.is_object()) not_a_vocabulary(path.string(), "is damaged: no JSON object");
  if (root.contains("model")) return from_tokenizer_json(root, path.string());
  const stdfs::path merges = path.parent_path() / "merges.txt";
  if (!stdfs::exists(merges)) throw DataError(path.string(), "has no merges.txt beside it", "A vocabulary needs both");
  BpeFile file{.name = merges.string()};
  read_merges(read_limited(merges), file, static_cast<std::size_t>(kMostIds));
  file.name = path.string();
  add_vocabulary(file, root);
  return file;
}

stdfs::path find_in_folder(const stdfs::path& folder) {
  if (stdfs::exists(folder / "vocab.json") && stdfs::exists(folder / "merges.txt")) return folder / "vocab.json";
  for (const char* name : {"tokenizer.json", "bpe_simple_vocab_16e6.txt.gz", "bpe_simple_vocab_16e6.txt"}) {
    if (stdfs::exists(folder / name)) return folder / name;
  }
  not_a_vocabulary(folder.string(), "is a folder without a CLIP vocabulary");
}

}  // namespace

const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet kAlphabet = [] {
    ByteAlphabet alphabet;
    std::size_t place = 0;
    const auto visible = [](int byte) { return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD); };
    char32_t next = 0x100;
    for (const bool now : {true, false}) {
      for (int byte = 0; byte < 256; ++byte) {
        if (visible(byte) != now) continue;
        append_utf8(alphabet.spelling[static_cast<std::size_t>(byte)], now ? static_cast<char32_t>(byte) : next++);
        alphabet.order[place++] = static_cast<unsigned char>(byte);
      }
    }
    return alphabet;
  }();
  return kAlphabet;
}

std::string bytes_of_spelling(std::string_view spelling) {
  static const std::unordered_map<std::string_view, char> kBytes = [] {
    std::unordered_map<std::string_view, char> bytes;
    for (int byte = 0; byte < 256; ++byte) {
      bytes[byte_alphabet().spelling[static_cast<std::size_t>(byte)]] = static_cast<char>(byte);
    }
    return bytes;
  }();
  std::string out;
  for (std::size_t at = 0; at < spelling.size();) {
    const std::size_t start = at;
    next_code_point(spelling, at);
    const std::string_view character = spelling.substr(start, at - start);
    const auto found = kBytes.find(character);
    if (found == kBytes.end()) {
      out += character;
    } else {
      out += found->second;
    }
  }
  return out;
}

BpeFile read_bpe_file(const stdfs::path& path) {
  if (!stdfs::exists(path)) throw DataError(path.string(), "is not there");
  const stdfs::path file = stdfs::is_directory(path) ? find_in_folder(path) : path;
  const std::string text = read_limited(file);
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) not_a_vocabulary(file.string(), "is empty");
  return text[text.find_first_not_of(" \t\r\n")] == '{' ? from_json(text, file) : from_merges(text, file.string());
}

}  // namespace vicha::text_detail
