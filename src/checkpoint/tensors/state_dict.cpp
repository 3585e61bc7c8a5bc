#include "checkpoint/tensors/state_dict.h"

#include "base/error.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {

void StateDict::set(std::string name, at::Tensor tensor) {
  const std::size_t at = index_.insert(name, entries_.size(), names());
  if (at < entries_.size()) {
    entries_[at].second = std::move(tensor);
  } else {
    entries_.emplace_back(std::move(name), std::move(tensor));
  }
}

at::Tensor StateDict::find(std::string_view name) const {
  const std::size_t found = index_of(name);
  return found == NameIndex::kNone ? at::Tensor() : entries_[found].second;
}

const at::Tensor& StateDict::at(std::string_view name, std::string_view where) const {
  const std::size_t found = index_of(name);
  if (found == NameIndex::kNone) throw DataError(where, "has no tensor named " + in_quotes(name));
  return entries_[found].second;
}

bool StateDict::erase(std::string_view name) {
  const std::size_t found = index_of(name);
  if (found == NameIndex::kNone) return false;
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(found));
  index_ = {};  // those behind it have other positions now
  for (std::size_t i = 0; i < entries_.size(); ++i) index_.insert(entries_[i].first, i, names());
  return true;
}

}  // namespace vicha
