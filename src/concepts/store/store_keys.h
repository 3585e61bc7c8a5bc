// Finds the newest record of a key. The keys' bytes stay with their owner; 24 to 32 bytes a record beside them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace vicha::store_detail {

class StoreKeys {
 public:
  StoreKeys() = default;
  explicit StoreKeys(std::vector<std::string_view> keys) : keys_(std::move(keys)) { rebuild(); }

  /// Record number size().
  void add(std::string_view key) {
    VICHA_ASSERT(keys_.size() < 0xffffffffu);
    keys_.push_back(key);
    if (2 * keys_.size() > table_.size()) {
      rebuild();
    } else {
      insert(keys_.size() - 1);
    }
  }
  std::optional<std::int64_t> find(std::string_view key) const {
    if (table_.empty()) return std::nullopt;
    const std::uint32_t record = table_[slot_of(key)];
    return record == 0 ? std::nullopt : std::optional<std::int64_t>(record - 1);
  }
  std::string_view key(std::int64_t record) const { return keys_[static_cast<std::size_t>(record)]; }
  std::span<const std::string_view> keys() const { return keys_; }
  std::int64_t size() const { return static_cast<std::int64_t>(keys_.size()); }

 private:
  /// Where the key is, or would be put.
  std::size_t slot_of(std::string_view key) const {
    std::size_t slot = std::hash<std::string_view>()(key) & (table_.size() - 1);
    while (table_[slot] != 0 && keys_[table_[slot] - 1] != key) slot = (slot + 1) & (table_.size() - 1);
    return slot;
  }
  void insert(std::size_t record) { table_[slot_of(keys_[record])] = static_cast<std::uint32_t>(record + 1); }
  void rebuild() {
    VICHA_ASSERT(keys_.size() < 0xffffffffu);
    std::size_t slots = 16;
    while (slots < 4 * keys_.size()) slots *= 2;
    table_.assign(slots, 0);
    for (std::size_t i = 0; i < keys_.size(); ++i) insert(i);
  }

  std::vector<std::string_view> keys_;
  std::vector<std::uint32_t> table_;  // open addressing: record + 1 of the newest, 0 is empty; a power of two
};

}  // namespace vicha::store_detail
