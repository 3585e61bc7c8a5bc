#include "objectives/text_cache.h"

namespace vicha {

std::string TextCache::key(std::span<const std::int64_t> ids) {
  return std::string(reinterpret_cast<const char*>(ids.data()), ids.size_bytes());
}

const TextCache::Entry* TextCache::find(std::span<const std::int64_t> ids) const {
  const auto at = entries_.find(key(ids));
  return at == entries_.end() ? nullptr : &at->second;
}

void TextCache::insert(std::span<const std::int64_t> ids, Entry entry) {
  std::int64_t bytes =
      static_cast<std::int64_t>(entry.states.nbytes()) + static_cast<std::int64_t>(ids.size_bytes()) + 200;
  for (const at::Tensor& h : entry.hidden) bytes += static_cast<std::int64_t>(h.nbytes());
  if (used_ + bytes > budget_) return;
  used_ += bytes;
  entries_.emplace(key(ids), std::move(entry));
}

}  // namespace vicha
