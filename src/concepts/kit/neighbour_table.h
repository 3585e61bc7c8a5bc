// Pictures and what their captions name: where the words of a new picture come from that is like them. N pictures, M
// words of all of them together.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

struct NeighbourWord {
  std::int32_t word = 0;  ///< of the vocabulary
  float share = 1;        ///< of the picture's captions that name it
};

class NeighbourTable {
 public:
  std::vector<std::string> keys;         ///< (N) names in the store of features
  std::vector<std::uint64_t> contents;   ///< (N) hash of each picture's file as the store has it; 0: not known
  std::vector<std::int32_t> groups;      ///< (N) number of its group; -1: none
  std::vector<std::string> group_names;  ///< by number

  std::int64_t size() const { return static_cast<std::int64_t>(keys.size()); }
  std::span<const NeighbourWord> words_of(std::int64_t picture) const {
    const auto at = static_cast<std::size_t>(picture);
    const std::size_t begin = at == 0 ? 0 : ends_[at - 1];
    return std::span(words_).subspan(begin, ends_[at] - begin);
  }
  /// Of the next picture, in the order of `keys`.
  void add_words(std::span<const NeighbourWord> words);
  /// -1 where there is none of that name.
  std::int32_t group_named(std::string_view name) const;

  /// A safetensors file; the same bytes for the same table.
  std::string bytes() const;
  /// Throws DataError naming the file if it is none, its parts do not fit each other, or it names words beyond
  /// `vocabulary`.
  static NeighbourTable load(const std::filesystem::path& file, std::int64_t vocabulary);
  /// SHA-256 of bytes().
  std::string sha256() const;

 private:
  std::vector<std::uint64_t> ends_;  // (N) in words_
  std::vector<NeighbourWord> words_;
};

}  // namespace vicha
