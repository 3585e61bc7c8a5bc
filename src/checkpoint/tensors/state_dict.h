// Named tensors in the order they were written.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vicha {

class StateDict {
 public:
  using Entry = std::pair<std::string, at::Tensor>;

  /// Adds or replaces.
  void set(std::string name, at::Tensor tensor);
  bool contains(std::string_view name) const { return index_of(name) != kNone; }
  /// The tensor, or an undefined one.
  at::Tensor find(std::string_view name) const;
  /// The tensor; throws DataError naming `where` if there is none.
  const at::Tensor& at(std::string_view name, std::string_view where = "state") const;
  bool erase(std::string_view name);

  std::size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  static constexpr std::size_t kNone = SIZE_MAX;

  std::size_t index_of(std::string_view name) const;
  /// The slot that holds the name, or the empty one where it would go.
  std::size_t slot_of(std::string_view name) const;
  void rebuild(std::size_t slots);

  std::vector<Entry> entries_;
  // A hash table of positions in `entries_`, where the names are: checkpoints of 200,000 tensors are copied often
  // enough that a second copy of each name, and a node for it, took most of the time. A power of two; 0 is empty.
  std::vector<std::uint32_t> slots_;
};

}  // namespace vicha
