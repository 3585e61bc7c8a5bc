#include "tasks/align/align_features.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/file_guard.h"
#include "base/files.h"
#include "base/log.h"

namespace vicha {
namespace {

/// Whether the user's store is to be read: there is one, and it holds all keys or must.
bool reads_users(const fs::path& store, FeatureKind kind, const std::vector<std::string>& keys, bool may_make,
                 bool can_make) {
  if (store.empty()) return false;
  if (!may_make || !can_make) return true;
  const FeatureStore opened = FeatureStore::open(store, kind);
  return std::ranges::all_of(keys, [&](const std::string& key) { return opened.store().find(key).has_value(); });
}

/// That a store is of the tower that the recipe names, before anything is trained on it.
void require_tower(const SourceWeights& tower, const FeatureSide& side) {
  const SourceWeights& stored = side.store->source();
  if (stored.same(tower)) return;
  throw DataError(side.store->path().string(),
                  fmt::format("holds features of {}, and the tower is {}", stored.describe(), tower.describe()),
                  "Give the tower that made it, or make the features anew (`vicha embed`)");
}

/// A store of ours is begun, or what an earlier run left of it is gone on with.
void prepare_own(const fs::path& file) {
  if (!file.parent_path().empty()) fs::create_directories(file.parent_path());
  go_on_with(file);
}

[[noreturn]] void no_tower(std::string_view manifest, const char* items, const char* key) {
  throw DataError(manifest, fmt::format("has {} without stored features, and no tower is known that makes them", items),
                  fmt::format("Name one ({}), or a store that has them", key));
}

}  // namespace

FeatureSide picture_features(const ImageList& images, std::string_view manifest, const FeaturePlaces& places,
                             const TowerAccess& towers, const FeatureEmbedOptions& options) {
  const bool can_make = static_cast<bool>(towers.pictures);
  if (reads_users(places.image_store, FeatureKind::kPooled, images.keys, places.may_make_others, can_make)) {
    FeatureSide side = open_side(places.image_store, FeatureKind::kPooled, images.keys, manifest);
    if (can_make) require_tower(towers.pictures().weights(), side);
    require_same_pictures(images, side);
    return side;
  }
  if (!can_make) no_tower(manifest, "pictures", "features.image_tower or --image-tower");
  prepare_own(places.own_images);
  const EmbedReport report = embed_features(towers.pictures(), images, places.own_images, options);
  log::info("features of {} pictures: {} made, {} from {}", report.images - report.bad, report.embedded, report.known,
            places.own_images.string());
  if (report.bad == 0) return open_side(places.own_images, FeatureKind::kPooled, images.keys, manifest);
  FeatureSide none;  // whose records are asked for once the unreadable pictures are left out
  none.store = std::make_shared<const FeatureStore>(FeatureStore::open(places.own_images, FeatureKind::kPooled));
  none.views = none.store->layout().views;
  return none;
}

FeatureSide caption_features(const std::vector<std::string>& keys, const std::vector<fs::path>& manifests,
                             const FeaturePlaces& places, const TowerAccess& towers, const EmbedOptions& options) {
  const bool can_make = static_cast<bool>(towers.texts);
  const std::string manifest = manifests.front().string();
  if (reads_users(places.text_store, FeatureKind::kTexts, keys, places.may_make_others, can_make)) {
    FeatureSide side = open_side(places.text_store, FeatureKind::kTexts, keys, manifest);
    if (can_make) require_tower(towers.texts().weights(), side);
    return side;
  }
  if (!can_make) no_tower(manifest, "captions", "features.text_tower or --text-tower");
  prepare_own(places.own_texts);
  const EmbedReport report = embed_texts(towers.texts(), manifests, places.own_texts, options);
  log::info("features of {} captions: {} made, {} from {}", keys.size(), report.embedded, report.known,
            places.own_texts.string());
  return open_side(places.own_texts, FeatureKind::kTexts, keys, manifest);
}

std::int64_t drop_pictures_without_features(PairList& list, const fs::path& file) {
  const FeatureStore store = FeatureStore::open(file, FeatureKind::kPooled);
  std::vector<std::int64_t> place(list.images.keys.size(), -1);
  ImageList kept{.manifest = list.images.manifest, .keys = {}, .records = {}};
  for (std::size_t i = 0; i < place.size(); ++i) {
    if (!store.store().find(list.images.keys[i])) continue;
    place[i] = kept.size();
    kept.keys.push_back(list.images.keys[i]);
    kept.records.push_back(list.images.records[i]);
  }
  const std::int64_t dropped = list.images.size() - kept.size();
  std::erase_if(list.pairs, [&](const FeaturePair& pair) { return place[static_cast<std::size_t>(pair.image)] < 0; });
  for (FeaturePair& pair : list.pairs) pair.image = place[static_cast<std::size_t>(pair.image)];
  list.images = std::move(kept);
  return dropped;
}

}  // namespace vicha
