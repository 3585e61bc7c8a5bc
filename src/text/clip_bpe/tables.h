// The tables of CLIP's tokenizer and the joining of bytes with them. Used inside this room only (see `ClipBpe`).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "text/clip_bpe/merge_files.h"

namespace vicha::text_detail {

/// Open addressing, at most half full. A slot is chosen by the high bits of the hash times 2^64 / golden ratio.
template <class Slot>
class BpeTable {
 public:
  explicit BpeTable(std::size_t entries)
      : shift_(64 - std::bit_width(std::max<std::size_t>(entries, 1) * 2)), slots_(std::size_t{1} << (64 - shift_)) {}
  /// The slot whose key is equal, or the free one where it would be.
  template <class Equal>
  Slot& find(std::uint64_t hash, const Equal& equal) {
    return slots_[place(hash, equal)];
  }
  template <class Equal>
  const Slot& find(std::uint64_t hash, const Equal& equal) const {
    return slots_[place(hash, equal)];
  }

 private:
  template <class Equal>
  std::size_t place(std::uint64_t hash, const Equal& equal) const {
    std::size_t at = (hash * 0x9e3779b97f4a7c15u) >> shift_;
    while (!slots_[at].free() && !equal(slots_[at])) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  int shift_;
  std::vector<Slot> slots_;
};

inline constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();
using BpeId = std::uint32_t;

struct BpeMerge {
  std::uint64_t pair = 0;
  std::uint32_t rank = kNoRank;
  BpeId merged = 0;
  bool free() const { return rank == kNoRank; }
};

struct BpeWord {
  std::uint32_t begin = 0, length = 0;  // among the bytes of all words
  BpeId id = 0;
  bool free() const { return length == 0; }
};

/// FNV-1a.
inline std::uint64_t bpe_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

struct BpeTables {
  explicit BpeTables(const BpeFile& file);

  /// Joins the ids of a piece's bytes to the ids of its tokens.
  void join(std::vector<BpeId>& ids) const { ids.size() <= kShort ? join_short(ids) : join_long(ids); }
  // Two ways that give the same: pieces up to `kShort` are looked over again and again, longer ones have a queue.
  static constexpr std::size_t kShort = 64;
  void join_short(std::vector<BpeId>& ids) const;
  void join_long(std::vector<BpeId>& ids) const;
  /// The merge of that pair, or a free slot.
  const BpeMerge& merge(BpeId left, BpeId right) const {
    const std::uint64_t pair = std::uint64_t{left} << 32 | right;
    return merges.find(pair, [&](const BpeMerge& slot) { return slot.pair == pair; });
  }
  /// The word whose bytes these are, or a free slot.
  const BpeWord& word(std::string_view bytes) const {
    return words.find(bpe_hash(bytes), [&](const BpeWord& slot) {
      return std::string_view(word_bytes).substr(slot.begin, slot.length) == bytes;
    });
  }

  std::array<BpeId, 256> byte_ids, last_byte_ids;  // within a word, at its end
  BpeTable<BpeMerge> merges;
  BpeTable<BpeWord> words;  // pieces that are one token
  std::string word_bytes;
  std::vector<std::string> spellings;  // by id
  std::int64_t start = 0, end = 0;
};

}  // namespace vicha::text_detail
