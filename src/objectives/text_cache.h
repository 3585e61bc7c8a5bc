// States of captions under a frozen text encoder: computed once, then looked up.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace vicha {

class TextCache {
 public:
  /// Stops taking in captions when the states take this much memory.
  explicit TextCache(std::int64_t budget_bytes) : budget_(budget_bytes) {}

  struct Entry {
    at::Tensor states;               ///< (L, D)
    std::vector<at::Tensor> hidden;  ///< class token of each hidden state (D)
  };
  const Entry* find(std::span<const std::int64_t> ids) const;
  void insert(std::span<const std::int64_t> ids, Entry entry);
  std::size_t size() const { return entries_.size(); }

 private:
  static std::string key(std::span<const std::int64_t> ids);
  std::int64_t budget_, used_ = 0;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace vicha
