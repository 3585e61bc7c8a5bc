// A small data set on disk, made by the tests that need one.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "image/decode.h"
#include "text/wordpiece/wordpiece.h"

namespace vicha::testing_data {

namespace fs = std::filesystem;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::atomic<int> count = 0;
    path_ = fs::temp_directory_path() / ("vicha_data_test_" + std::to_string(getpid()) + "_" + std::to_string(count++));
    fs::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  fs::path operator/(std::string_view name) const { return path_ / name; }
  fs::path write(std::string_view name, std::string_view content) const {
    const fs::path file = path_ / name;
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

inline std::string read_text(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// PNG bytes of noise.
inline std::string noise_png(std::uint64_t seed, int width = 20, int height = 18) {
  Image image(width, height, 3);
  Rng rng(seed);
  for (std::uint8_t& sample : image.pixels) sample = static_cast<std::uint8_t>(rng());
  return encode_png(image);
}

inline std::shared_ptr<const WordPiece> small_tokenizer() {
  std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nred\ncat\ndog\nsits\n##s\n";
  for (char c = 'b'; c <= 'z'; ++c) vocabulary += std::string(1, c) + "\n##" + c + "\n";
  for (char c = '0'; c <= '9'; ++c) vocabulary += std::string(1, c) + "\n##" + c + "\n";
  return std::make_shared<const WordPiece>(Vocabulary(vocabulary, "small vocabulary"));
}

/// What a call throws, "" if it returns.
template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace vicha::testing_data
