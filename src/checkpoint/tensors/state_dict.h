// Named tensors in the order they were written.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/tensors/name_index.h"

namespace vicha {

class StateDict {
 public:
  using Entry = std::pair<std::string, at::Tensor>;

  /// Adds or replaces.
  void set(std::string name, at::Tensor tensor);
  bool contains(std::string_view name) const { return index_of(name) != NameIndex::kNone; }
  /// The tensor, or an undefined one.
  at::Tensor find(std::string_view name) const;
  /// The tensor; throws DataError naming `where` if there is none.
  const at::Tensor& at(std::string_view name, std::string_view where = "state") const;
  bool erase(std::string_view name);

  std::size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  auto names() const {
    return [this](std::size_t i) -> const std::string& { return entries_[i].first; };
  }
  std::size_t index_of(std::string_view name) const { return index_.find(name, names()); }

  std::vector<Entry> entries_;
  NameIndex index_;
};

}  // namespace vicha
