// Many strings in little memory: bytes in chunks that never move, equal strings once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

/// Entries of bytes, each in one piece, found by the number that `append` gave.
class ByteArena {
 public:
  static constexpr std::uint64_t kMaxEntry = std::uint64_t{1} << 23;

  /// At most kMaxEntry bytes.
  std::uint64_t append(std::string_view bytes);
  const char* at(std::uint64_t place) const { return chunks_[place / kMaxEntry].get() + place % kMaxEntry; }
  std::uint64_t bytes() const { return chunks_.size() * kMaxEntry - (kMaxEntry - used_); }

 private:
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::uint64_t used_ = kMaxEntry;  // of the last chunk
};

/// Distinct strings, numbered in the order in which they came. About 20 bytes each beside their own, 10 once sealed.
class StringPool {
 public:
  /// The string's number; the same for equal strings. At most ByteArena::kMaxEntry bytes less a few.
  std::uint32_t intern(std::string_view text);
  std::string_view operator[](std::uint32_t number) const;
  /// No more strings will come: frees what only `intern` needs.
  void seal();
  std::int64_t size() const { return static_cast<std::int64_t>(places_.size()); }
  std::uint64_t memory_bytes() const {
    return arena_.bytes() + places_.capacity() * sizeof(places_[0]) + table_.capacity() * sizeof(table_[0]);
  }

 private:
  void grow();

  ByteArena arena_;
  std::vector<std::uint64_t> places_;
  std::vector<std::uint32_t> table_;  // open addressing: number + 1, 0 is empty
};

/// Numbers of up to 64 bits in groups of seven, low ones first.
void append_varint(std::string& out, std::uint64_t value);
/// Moves `from` behind the number. The bytes are trusted: they were written by append_varint.
std::uint64_t take_varint(const char*& from);

}  // namespace vicha
