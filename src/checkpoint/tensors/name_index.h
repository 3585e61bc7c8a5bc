// Positions by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace vicha {

/// A hash table of the positions of names that lie elsewhere, in the order of their coming: `name_at(position)` is one.
/// Checkpoints have 200,000 tensors, and a second copy of each name, in a node of its own, takes longer than the file.
class NameIndex {
 public:
  static constexpr std::size_t kNone = SIZE_MAX;

  /// The position of the name, or kNone.
  template <class NameAt>
  std::size_t find(std::string_view name, const NameAt& name_at) const {
    return slots_.empty() ? kNone : slots_[slot_of(name, hash_of(name), name_at)].position - std::size_t{1};
  }

  /// The position that the name has, or `next`, the number of those here so far, which a new name gets.
  template <class NameAt>
  std::size_t insert(std::string_view name, std::size_t next, const NameAt& name_at) {
    reserve(next + 1);
    const std::uint32_t hash = hash_of(name);
    Slot& slot = slots_[slot_of(name, hash, name_at)];
    if (slot.position == 0) slot = {hash, static_cast<std::uint32_t>(next + 1)};
    return slot.position - 1;
  }

  /// Room for as many names.
  void reserve(std::size_t names) {
    if (2 * names > slots_.size()) grow(2 * names);
  }

 private:
  struct Slot {
    std::uint32_t hash = 0, position = 0;  ///< counted from 1 on; 0 where the slot is empty
  };

  static std::uint32_t hash_of(std::string_view name) {
    return static_cast<std::uint32_t>(std::hash<std::string_view>()(name));
  }

  /// The slot that holds the name, or the empty one where it would go.
  template <class NameAt>
  std::size_t slot_of(std::string_view name, std::uint32_t hash, const NameAt& name_at) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at].position != 0 && (slots_[at].hash != hash || name_at(slots_[at].position - 1) != name)) {
      at = (at + 1) & mask;
    }
    return at;
  }

  /// To a power of two, without a look at the names.
  void grow(std::size_t least) {
    std::size_t count = 16;
    while (count < least) count *= 2;
    std::vector<Slot> old(count);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.position == 0) continue;
      std::size_t at = slot.hash & (count - 1);
      while (slots_[at].position != 0) at = (at + 1) & (count - 1);
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_;
};

}  // namespace vicha
