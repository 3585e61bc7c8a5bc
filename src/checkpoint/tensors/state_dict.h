// Named tensors in the order they were written.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace vicha {

class StateDict {
 public:
  using Entry = std::pair<std::string, at::Tensor>;

  /// Adds or replaces.
  void set(std::string name, at::Tensor tensor);
  bool contains(std::string_view name) const { return index_.count(std::string(name)) != 0; }
  /// The tensor, or an undefined one.
  at::Tensor find(std::string_view name) const;
  /// The tensor; throws DataError naming `where` if there is none.
  const at::Tensor& at(std::string_view name, std::string_view where = "state") const;
  bool erase(std::string_view name);

  std::size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace vicha
