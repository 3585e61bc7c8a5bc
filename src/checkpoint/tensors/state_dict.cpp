#include "checkpoint/tensors/state_dict.h"

#include <functional>

#include "base/error.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {

std::size_t StateDict::slot_of(std::string_view name) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = std::hash<std::string_view>()(name) & mask;
  while (slots_[slot] != 0 && entries_[slots_[slot] - 1].first != name) slot = (slot + 1) & mask;
  return slot;
}

std::size_t StateDict::index_of(std::string_view name) const {
  const std::uint32_t found = slots_.empty() ? 0 : slots_[slot_of(name)];
  return found == 0 ? kNone : found - 1;
}

void StateDict::rebuild(std::size_t slots) {
  slots_.assign(slots, 0);
  for (std::size_t i = 0; i < entries_.size(); ++i)
    slots_[slot_of(entries_[i].first)] = static_cast<std::uint32_t>(i + 1);
}

void StateDict::set(std::string name, at::Tensor tensor) {
  if (2 * (entries_.size() + 1) > slots_.size()) rebuild(slots_.empty() ? 16 : 4 * slots_.size());
  const std::size_t slot = slot_of(name);
  if (slots_[slot] != 0) {
    entries_[slots_[slot] - 1].second = std::move(tensor);
    return;
  }
  entries_.emplace_back(std::move(name), std::move(tensor));
  slots_[slot] = static_cast<std::uint32_t>(entries_.size());
}

at::Tensor StateDict::find(std::string_view name) const {
  const std::size_t found = index_of(name);
  return found == kNone ? at::Tensor() : entries_[found].second;
}

const at::Tensor& StateDict::at(std::string_view name, std::string_view where) const {
  const std::size_t found = index_of(name);
  if (found == kNone) throw DataError(where, "has no tensor named " + in_quotes(name));
  return entries_[found].second;
}

bool StateDict::erase(std::string_view name) {
  const std::size_t found = index_of(name);
  if (found == kNone) return false;
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(found));
  rebuild(slots_.size());
  return true;
}

}  // namespace vicha
