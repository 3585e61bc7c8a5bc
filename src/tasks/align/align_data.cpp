#include "tasks/align/align_data.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/sha256.h"
#include "concepts/match/similarity_captions.h"
#include "data/manifest/string_pool.h"

namespace vicha {
namespace {

constexpr std::int64_t kPicturesCompared = 10'000;

std::vector<fs::path> paths_of(const std::vector<std::string>& names) { return {names.begin(), names.end()}; }

}  // namespace

PairList read_pairs(const DataOptions& data) {
  const std::vector<fs::path> files = paths_of(data.manifests);
  const ManifestOptions options{.image_root = data.image_root, .strip_parts = data.strip_parts};
  PairList list;
  list.images = list_images(files, options);
  const Manifest manifest = Manifest::load(files, options);
  list.digests = manifest.digests();
  // Both readings number the files of pictures alike: in the order in which the records name them.
  std::vector<std::int64_t> item_of_file(static_cast<std::size_t>(manifest.image_count()), 0);
  for (std::int64_t item = 0; item < list.images.size(); ++item) {
    const std::int64_t record = list.images.records[static_cast<std::size_t>(item)];
    item_of_file[static_cast<std::size_t>(manifest.image_number(record))] = item;
  }
  StringPool texts;
  list.pairs.reserve(static_cast<std::size_t>(manifest.caption_count()));
  for (std::int64_t record = 0; record < manifest.size(); ++record) {
    const std::int64_t image = item_of_file[static_cast<std::size_t>(manifest.image_number(record))];
    for (std::int64_t which = 0; which < manifest.caption_count(record); ++which) {
      const std::string key = caption_key(manifest.caption(record, which));
      if (key.empty()) {
        ++list.empty_captions;
        continue;
      }
      list.pairs.push_back({.image = image, .text = texts.intern(key)});
    }
  }
  texts.seal();
  list.texts.reserve(static_cast<std::size_t>(texts.size()));
  for (std::int64_t i = 0; i < texts.size(); ++i) list.texts.emplace_back(texts[static_cast<std::uint32_t>(i)]);
  return list;
}

FeatureMatrix FeatureSide::matrix() const {
  const auto gather = [store = store, records = records, views = views](const at::Tensor& rows_B) {
    const auto n = static_cast<std::size_t>(rows_B.numel());
    std::vector<std::int64_t> chosen(n), view(n);
    const std::int64_t* rows = rows_B.const_data_ptr<std::int64_t>();
    for (std::size_t i = 0; i < n; ++i) {
      chosen[i] = records[static_cast<std::size_t>(rows[i] / views)];
      view[i] = rows[i] % views;
    }
    return store->gather(chosen, view).squeeze(1);
  };
  return FeatureMatrix(
      {.rows = static_cast<std::int64_t>(records.size()) * views, .width = store->width(), .gather = gather},
      store->path().string(), views);
}

std::string FeatureSide::contents() const {
  Sha256 hash;
  for (const std::int64_t record : records) {
    const std::uint64_t content = store->store().content(record);
    hash.update({reinterpret_cast<const char*>(&content), sizeof(content)});
  }
  return hash.hex();
}

FeatureSide open_side(const fs::path& file, FeatureKind kind, const std::vector<std::string>& keys,
                      std::string_view manifest) {
  FeatureSide side;
  side.store = std::make_shared<const FeatureStore>(FeatureStore::open(file, kind));
  side.records = side.store->records_of(keys, manifest);
  side.views = side.store->layout().views;
  return side;
}

void require_same_pictures(const ImageList& images, const FeatureSide& side) {
  const std::int64_t count = std::min(images.size(), kPicturesCompared);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t image = i * images.size() / count;
    const fs::path path(images.path(image));
    const std::uint64_t then = side.store->store().content(side.records[static_cast<std::size_t>(image)]);
    std::error_code none;
    if (then == 0 || !fs::exists(path, none)) continue;
    const std::string bytes = read_file(path);
    const std::uint64_t now = content_hash({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    if (now == then) continue;
    throw DataError(
        side.store->path().string(),
        fmt::format("holds features of another picture under the name \"{}\" than {} is now (content {:016x} "
                    "then, {:016x} now)",
                    images.keys[static_cast<std::size_t>(image)], path.string(), then, now),
        "Run `vicha embed` again with the same --out: it embeds what has changed. Or put the picture back");
  }
}

}  // namespace vicha
