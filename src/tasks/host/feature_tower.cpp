#include "tasks/host/feature_tower.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/printable.h"

namespace vicha {
namespace {

constexpr std::uint64_t kMostOfTowerFile = 1 << 20;

}  // namespace

std::string to_json(const FeatureTower& tower) {
  const nlohmann::ordered_json json = {{"weights", nlohmann::ordered_json::parse(to_json(tower.weights))},
                                       {"views", tower.views}};
  return json_text(json, 1) + "\n";
}

std::optional<FeatureTower> feature_tower_of(const fs::path& checkpoint) {
  const fs::path file = checkpoint / kFeatureTowerFile;
  if (!fs::exists(file)) return std::nullopt;
  const auto json = nlohmann::json::parse(read_file(file, kMostOfTowerFile), nullptr, false);
  if (!json.is_object() || !json.contains("weights") || !json.contains("views") || !json["views"].is_number_integer()) {
    throw DataError(file.string(), "does not say which tower made the features that the model reads",
                    "The checkpoint is damaged; use another one");
  }
  return FeatureTower{source_weights_from_json(json["weights"].dump(), file.string()), json["views"]};
}

void require_same_tower(const fs::path& checkpoint, const FeatureTower& now, const std::string& store) {
  const std::optional<FeatureTower> then = feature_tower_of(checkpoint);
  if (!then || *then == now) return;
  throw DataError(
      store,
      fmt::format("holds features by {} in {} views, and {} was trained on those by {} in {} views",
                  now.weights.describe(), now.views, checkpoint.string(), then->weights.describe(), then->views),
      "Name that store again (data.features.store), or start a new run with --resume none or another --out");
}

std::shared_ptr<const FeatureStore> open_feature_store(const FeatureInputOptions& options) {
  return std::make_shared<const FeatureStore>(FeatureStore::open(options.store, FeatureKind::kPatches));
}

void fit_to_store(ModelOptions& model, const FeatureStore& store) {
  PictureInputOptions& input = model.vit.picture;
  const FeatureLayout& layout = store.layout();
  const std::tuple<const char*, std::int64_t&, std::int64_t> sizes[] = {{"rows", input.rows, layout.rows},
                                                                        {"columns", input.columns, layout.columns},
                                                                        {"width", input.width, store.width()}};
  for (const auto& [name, given, there] : sizes) {
    if (given != 0 && given != there) {
      throw UsageError(
          fmt::format("model.image.{} = {}, but {} holds maps of {} x {} patches of {} numbers; set it to 0, which "
                      "takes the store's, "
                      "or name another store (data.features.store)",
                      name, given, store.path().string(), layout.rows, layout.columns, store.width()));
    }
    given = there;
  }
}

std::unique_ptr<PictureEncoder> open_feature_tower(const DataOptions& data, const SourceWeights& expected,
                                                   std::string_view where, const std::string& device) {
  const std::string& spec = data.features.tower;
  if (spec.empty()) {
    throw DataError(where,
                    fmt::format("reads features that {} made, and nothing says where that is", expected.describe()),
                    "Name it in the recipe (data.features.tower) or by --tower, as `vicha embed --tower` takes it");
  }
  std::unique_ptr<PictureEncoder> encoder;
  try {
    encoder = PictureEncoder::open(spec, device, {.accept_truncated = data.decode_options().accept_truncated});
  } catch (const Error& error) {
    throw DataError(fmt::format("the tower {}", printable(spec)),
                    fmt::format("cannot be opened: {}. {} reads the features that {} made", error.what(), where,
                                expected.describe()),
                    "Say where it is now: data.features.tower of the recipe, or --tower");
  }
  require_same(expected, where, encoder->weights(), spec);
  return encoder;
}

}  // namespace vicha
