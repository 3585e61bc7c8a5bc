#include "data/manifest/string_pool.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <limits>

#include "base/error.h"

namespace vicha {

std::uint64_t ByteArena::append(std::string_view bytes) {
  VICHA_ASSERT(bytes.size() <= kMaxEntry);
  if (used_ + bytes.size() > kMaxEntry) {
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(kMaxEntry));
    used_ = 0;
  }
  const std::uint64_t place = (chunks_.size() - 1) * kMaxEntry + used_;
  if (!bytes.empty()) std::memcpy(chunks_.back().get() + used_, bytes.data(), bytes.size());
  used_ += bytes.size();
  return place;
}

std::uint32_t StringPool::intern(std::string_view text) {
  if ((places_.size() + 1) * 4 > table_.size() * 3) grow();
  const std::size_t mask = table_.size() - 1;
  std::size_t slot = std::hash<std::string_view>{}(text)&mask;
  for (; table_[slot] != 0; slot = (slot + 1) & mask) {
    if ((*this)[table_[slot] - 1] == text) return table_[slot] - 1;
  }
  VICHA_ASSERT(places_.size() < std::numeric_limits<std::uint32_t>::max());
  std::string entry;
  append_varint(entry, text.size());
  entry.append(text);
  places_.push_back(arena_.append(entry));
  table_[slot] = static_cast<std::uint32_t>(places_.size());
  return table_[slot] - 1;
}

std::string_view StringPool::operator[](std::uint32_t number) const {
  const char* from = arena_.at(places_[number]);
  const std::uint64_t length = take_varint(from);
  return {from, length};
}

void StringPool::seal() {
  table_ = std::vector<std::uint32_t>();  // unlike {}, gives the memory back
  places_.shrink_to_fit();
}

void StringPool::grow() {
  const std::size_t size = std::max<std::size_t>(16, std::bit_ceil(places_.size() + 1) * 2);
  table_.assign(size, 0);
  for (std::uint32_t number = 0; number < places_.size(); ++number) {
    std::size_t slot = std::hash<std::string_view>{}((*this)[number]) & (size - 1);
    while (table_[slot] != 0) slot = (slot + 1) & (size - 1);
    table_[slot] = number + 1;
  }
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

std::uint64_t take_varint(const char*& from) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(*from++);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
}

}  // namespace vicha
