#include "checkpoint/tensors/state_dict.h"

#include "base/error.h"

namespace vicha {

void StateDict::set(std::string name, at::Tensor tensor) {
  const auto [at, added] = index_.try_emplace(name, entries_.size());
  if (added) {
    entries_.emplace_back(std::move(name), std::move(tensor));
  } else {
    entries_[at->second].second = std::move(tensor);
  }
}

at::Tensor StateDict::find(std::string_view name) const {
  const auto at = index_.find(std::string(name));
  return at == index_.end() ? at::Tensor() : entries_[at->second].second;
}

const at::Tensor& StateDict::at(std::string_view name, std::string_view where) const {
  const auto at = index_.find(std::string(name));
  if (at == index_.end()) throw DataError(where, "has no tensor named '" + std::string(name) + "'");
  return entries_[at->second].second;
}

bool StateDict::erase(std::string_view name) {
  const auto at = index_.find(std::string(name));
  if (at == index_.end()) return false;
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(at->second));
  index_.clear();
  for (std::size_t i = 0; i < entries_.size(); ++i) index_[entries_[i].first] = i;
  return true;
}

}  // namespace vicha
