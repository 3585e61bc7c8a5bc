#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "concepts/store/store.h"
#include "concepts/store/store_format.h"

namespace vicha {
namespace {

using store_detail::describe, store_detail::record_bytes;

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code ignored;
  return fs::equivalent(a, b, ignored) || a.lexically_normal() == b.lexically_normal();
}

void check_inputs(std::span<const EmbeddingStore> stores, const fs::path& out) {
  const EmbeddingStore& first = stores[0];
  for (const EmbeddingStore& store : stores) {
    if (same_file(store.path(), out)) {
      throw DataError(out.string(), "is an input of the merge and cannot be its output", "Name a new file");
    }
    require_same(first.source(), first.path().string(), store.source(), store.path().string());
    if (first.shape() != store.shape()) {
      throw DataError(store.path().string(),
                      fmt::format("holds records of {}, and {} of {}", describe(store.shape()), first.path().string(),
                                  describe(first.shape())),
                      "Only stores of one shape can be merged");
    }
  }
  for (const EmbeddingStore& store : stores) store.verify();
}

}  // namespace

void merge_stores(std::span<const fs::path> inputs, const fs::path& out) {
  if (inputs.empty()) throw UsageError("no stores to merge");
  std::vector<EmbeddingStore> stores;
  for (const fs::path& input : inputs) stores.push_back(EmbeddingStore::open(input));
  check_inputs(stores, out);
  EmbeddingStoreWriter writer(out, stores[0].source(), stores[0].shape());
  const std::size_t at_once = std::max<std::size_t>(1, store_detail::kBlockBytes / record_bytes(stores[0].shape()));
  for (std::size_t s = 0; s < stores.size(); ++s) {
    const EmbeddingStore& store = stores[s];
    std::vector<std::int64_t> records;
    std::vector<std::string> keys;
    std::vector<std::uint64_t> contents;
    const auto copy = [&] {
      // Through fp32, which holds every fp16 exactly, and every int8 times its scale (store_format.h).
      writer.add(keys, contents, store.rows(records));
      records.clear();
      keys.clear();
      contents.clear();
    };
    for (const std::int64_t record : store.newest()) {
      const std::string_view key = store.key(record);
      const auto later = std::span(stores).subspan(s + 1);
      if (std::ranges::any_of(later, [&](const EmbeddingStore& other) { return other.find(key).has_value(); }))
        continue;
      if (writer.content(key) == store.content(record)) continue;
      records.push_back(record);
      keys.emplace_back(key);
      contents.push_back(store.content(record));
      if (records.size() == at_once) copy();
    }
    copy();
  }
  writer.finish();
}

}  // namespace vicha
