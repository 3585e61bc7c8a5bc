#include "tasks/host/stored_pictures.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/threads.h"
#include "data/pipeline/bad_images.h"
#include "features/feature_embed.h"

namespace vicha {
namespace {

/// Where one picture's features are: a record of one of the stores; -1: nowhere.
struct Place {
  std::int32_t store = -1;
  std::int64_t record = -1;
};

class StoredPictures : public PictureFeatures {
 public:
  StoredPictures(std::vector<std::shared_ptr<const FeatureStore>> stores, std::vector<Place> places)
      : stores_(std::move(stores)), places_(std::move(places)) {
    for (const auto& store : stores_) {
      VICHA_ASSERT(store->layout().rows * store->layout().columns == patches() && store->width() == width());
    }
  }

  std::int64_t patches() const override {
    const FeatureLayout& layout = stores_.front()->layout();
    return layout.rows * layout.columns;
  }
  std::int64_t width() const override { return stores_.front()->width(); }
  std::int64_t views() const override { return stores_.front()->layout().views; }

  void read(std::int64_t image, std::int64_t view, std::span<float> out) const override {
    const Place& place = places_[static_cast<std::size_t>(image)];
    if (place.store < 0) {
      throw DataError(stores_.front()->path().string(), "has no features of this picture",
                      "`vicha embed --patches` adds those of readable files");
    }
    VICHA_ASSERT(patches() * width() == static_cast<std::int64_t>(out.size()));
    stores_[static_cast<std::size_t>(place.store)]->store().read(place.record, view * patches(), patches(), out.data());
  }

 private:
  std::vector<std::shared_ptr<const FeatureStore>> stores_;
  std::vector<Place> places_;  ///< by image number
};

ImageList pictures_of(const DataOptions& data, const Schema& schema) {
  return list_images({data.manifests.begin(), data.manifests.end()},
                     {.image_root = data.image_root, .strip_parts = data.strip_parts, .schema = schema});
}

/// Whether each picture's file is what the store's record was made of; `records` -1 are left alone. Files that cannot
/// be read, and contents that the store does not know, count as the same: the features are there.
enum class Content : std::uint8_t { kSame, kChanged, kMissing };
std::vector<Content> compare_contents(const EmbeddingStore& store, const ImageList& list,
                                      const std::vector<std::int64_t>& records) {
  std::vector<Content> found(records.size(), Content::kSame);
  for_each_index(records.size(), at::get_num_threads(), [&](std::size_t i) {
    if (records[i] < 0) return;
    const std::uint64_t known = store.content(records[i]);
    if (known == 0) return;
    try {
      const std::string file = read_file(std::string(list.path(static_cast<std::int64_t>(i))));
      const std::span bytes(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
      if (content_hash(bytes) != known) found[i] = Content::kChanged;
    } catch (const DataError&) {
      found[i] = Content::kMissing;
    }
  });
  return found;
}

std::vector<std::int64_t> find_records(const EmbeddingStore& store, const ImageList& list) {
  std::vector<std::int64_t> records;
  records.reserve(list.keys.size());
  for (const std::string& key : list.keys) records.push_back(store.find(key).value_or(-1));
  return records;
}

std::string such_pictures(std::ptrdiff_t count) {
  return count == 1 ? "one such picture" : fmt::format("{} such pictures", count);
}

}  // namespace

void require_unchanged(const EmbeddingStore& store, const ImageList& list, const StoredNumbers& what) {
  const std::vector<Content> contents = compare_contents(store, list, find_records(store, list));
  const auto count = [&](Content which) { return std::ranges::count(contents, which); };
  const auto first = [&](Content which) { return std::ranges::find(contents, which) - contents.begin(); };
  if (const auto changed = count(Content::kChanged); changed > 0) {
    throw DataError(std::string(list.path(first(Content::kChanged))),
                    fmt::format("is another file than {} holds the {} of ({})", store.path().string(), what.name,
                                such_pictures(changed)),
                    fmt::format("Run the `{}` of that store again, which makes them anew, or take them by name all the "
                                "same with {}=true",
                                what.command, what.trust));
  }
  if (const auto missing = count(Content::kMissing); missing > 0) {
    throw DataError(
        std::string(list.path(first(Content::kMissing))),
        fmt::format("cannot be read, so it cannot be told whether its {} in {} are still of it ({})", what.name,
                    store.path().string(), such_pictures(missing)),
        fmt::format("Name the folder of the pictures (data.image_root), or take {} by name alone with {}=true",
                    what.name, what.trust));
  }
}

std::vector<std::int64_t> numbers_of(const ImageList& list, const Manifest& manifest) {
  std::unordered_map<std::string_view, std::int64_t> number_of;
  for (std::int64_t i = 0; i < manifest.image_count(); ++i) number_of.emplace(manifest.image_file(i), i);
  std::vector<std::int64_t> numbers;
  numbers.reserve(list.keys.size());
  for (std::int64_t i = 0; i < list.size(); ++i) {
    const auto found = number_of.find(list.path(i));
    numbers.push_back(found == number_of.end() ? -1 : found->second);
  }
  return numbers;
}

std::shared_ptr<const PictureFeatures> training_features(std::shared_ptr<const FeatureStore> store,
                                                         const Manifest& manifest, const DataOptions& data) {
  const ImageList list = pictures_of(data, manifest.schema());
  const std::vector<std::int64_t> records = find_records(store->store(), list), numbers = numbers_of(list, manifest);
  std::vector<Place> places(static_cast<std::size_t>(manifest.image_count()));
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i] < 0) missing.push_back(list.keys[i]);
    if (records[i] >= 0 && numbers[i] >= 0) places[static_cast<std::size_t>(numbers[i])] = {0, records[i]};
  }
  const BadImageLog allowance(list.manifest, data.max_bad_share, {});
  if (static_cast<std::int64_t>(missing.size()) > std::min(allowance.allowed(), list.size() - 1)) {
    store->records_of(missing, data.manifests.front());  // says so, and how to add them
  }
  if (!missing.empty()) {
    log::warning("{} has no features of {} of {} pictures: others take their places. The first: {}",
                 store->path().string(), missing.size(), list.size(), printable(missing.front()));
  }
  if (!data.features.trust_names) {
    require_unchanged(store->store(), list, {"features", "vicha embed", "data.features.trust_names"});
  }
  log::info("features of {} pictures ({} x {} patches of {} numbers, {} {}) from {}",
            list.size() - static_cast<std::int64_t>(missing.size()), store->layout().rows, store->layout().columns,
            store->width(), store->layout().views, store->layout().views == 1 ? "view" : "views",
            store->path().string());
  return std::make_shared<StoredPictures>(std::vector{std::move(store)}, std::move(places));
}

std::shared_ptr<const PictureFeatures> evaluation_features(const Manifest& manifest, const EvaluationFeatures& how) {
  const ImageList list = pictures_of(how.data, manifest.schema());
  const std::vector<std::int64_t> numbers = numbers_of(list, manifest);
  std::vector<std::shared_ptr<const FeatureStore>> stores;
  std::vector<Place> places(static_cast<std::size_t>(manifest.image_count()));
  std::error_code none;
  std::vector<std::int64_t> records(list.keys.size(), -1);
  if (fs::exists(how.data.features.store, none)) {
    auto store = open_feature_store(how.data.features);
    require_same(how.tower, "the model's features", store->source(), store->path().string());
    records = find_records(store->store(), list);
    if (!how.data.features.trust_names) {
      // A name of this set may stand for another file in the training set.
      const std::vector<Content> contents = compare_contents(store->store(), list, records);
      for (std::size_t i = 0; i < records.size(); ++i) {
        if (contents[i] == Content::kChanged) records[i] = -1;
      }
    }
    if (std::ranges::any_of(records, [](std::int64_t record) { return record >= 0; }))
      stores.push_back(std::move(store));
  }
  ImageList rest{list.manifest, {}, {}};
  std::vector<std::int64_t> numbers_of_rest;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i] < 0) {
      rest.keys.push_back(list.keys[i]);
      rest.records.push_back(list.records[i]);
      if (!list.numbers.empty()) rest.numbers.push_back(list.numbers[i]);
      numbers_of_rest.push_back(numbers[i]);
    } else if (numbers[i] >= 0) {
      places[static_cast<std::size_t>(numbers[i])] = {0, records[i]};
    }
  }
  if (!rest.keys.empty()) {
    const fs::path manifest_file = how.data.manifests.front(),
                   cache = how.cache.empty() ? cache_beside(manifest_file, how.tower, "features") : how.cache;
    const auto encoder = open_feature_tower(how.data, how.tower, "the model", how.device);
    FeatureEmbedOptions options;
    options.patches = true;
    options.embed.max_bad_share = 0;
    options.embed.settings = {
        .share = "", .folder = "--image-root or data.image_root", .otherwise = "`vicha data prune` leaves them out"};
    const EmbedReport report = embed_features(*encoder, rest, cache, options);
    log::info("features of {} pictures: {} from {}, {} made by the tower, {} from {}", list.size(),
              list.size() - rest.size(), how.data.features.store, report.embedded, report.known, cache.string());
    auto store = std::make_shared<const FeatureStore>(FeatureStore::open(patches_beside(cache), FeatureKind::kPatches));
    const std::vector<std::int64_t> found = store->records_of(rest.keys, manifest_file.string());
    const auto place = static_cast<std::int32_t>(stores.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (numbers_of_rest[i] >= 0) places[static_cast<std::size_t>(numbers_of_rest[i])] = {place, found[i]};
    }
    stores.push_back(std::move(store));
  }
  return std::make_shared<StoredPictures>(std::move(stores), std::move(places));
}

fs::path run_feature_cache(const fs::path& run) { return run / "eval-pictures.features"; }

fs::path cache_beside(const fs::path& manifest, const SourceWeights& weights, std::string_view suffix) {
  const std::string name = fmt::format("{}.{}.{}", manifest.filename().string(), weights.sha256.substr(0, 12), suffix);
  const fs::path beside = manifest.parent_path() / name;
  std::error_code ignored;
  const fs::path folder = manifest.parent_path().empty() ? fs::path(".") : manifest.parent_path();
  const fs::path probe = folder / fmt::format(".{}.probe", name);
  try {
    write_file_atomic(probe, "");
    fs::remove(probe, ignored);
    return beside;
  } catch (const Error&) {
    const fs::path elsewhere = fs::temp_directory_path(ignored) / name;
    log::warning("{} cannot be written: embeddings are kept in {}", folder.string(), elsewhere.string());
    return elsewhere;
  }
}

}  // namespace vicha
