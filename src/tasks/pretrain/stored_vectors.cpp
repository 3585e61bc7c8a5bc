#include "tasks/pretrain/stored_vectors.h"

#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "base/printable.h"
#include "tasks/host/stored_pictures.h"

namespace vicha {

void report_missing(const EmbeddingStore& store, std::string_view what, std::string_view first, std::size_t count,
                    const std::string& remedy) {
  throw DataError(
      store.path().string(),
      fmt::format("has no vector of {} of the training set's {}; the first: \"{}\"", count, what, printable(first)),
      remedy);
}

std::vector<std::int64_t> records_of_pictures(const EmbeddingStore& store, const ImageList& list,
                                              const Manifest& manifest, const std::string& remedy) {
  const std::vector<std::int64_t> numbers = numbers_of(list, manifest);
  std::vector<std::int64_t> records(static_cast<std::size_t>(manifest.image_count()), -1);
  std::vector<std::string_view> without;
  for (std::size_t i = 0; i < list.keys.size(); ++i) {
    const std::optional<std::int64_t> record = store.find(list.keys[i]);
    if (!record) without.push_back(list.keys[i]);
    if (record && numbers[i] >= 0) records[static_cast<std::size_t>(numbers[i])] = *record;
  }
  if (!without.empty()) report_missing(store, "pictures", without.front(), without.size(), remedy);
  return records;
}

}  // namespace vicha
