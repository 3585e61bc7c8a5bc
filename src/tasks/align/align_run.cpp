#include "tasks/align/align_run.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/named_outputs.h"
#include "base/sha256.h"
#include "config/serialize.h"
#include "nn/kernel_choice.h"
#include "tasks/align/aligned_set.h"
#include "tasks/align/tower_record.h"
#include "tasks/host/data_record.h"
#include "tasks/host/evaluation_record.h"
#include "tasks/host/tower_spec.h"
#include "train/checkpoint_folder.h"
#include "train/device.h"
#include "train/run_lock.h"

namespace vicha {
namespace {

/// The towers of a recipe, opened once.
class RecipeTowers {
 public:
  RecipeTowers(const AlignRecipe& recipe, std::string device) : recipe_(recipe), device_(std::move(device)) {}

  TowerAccess access() {
    TowerAccess access;
    if (!recipe_.features.image_tower.empty())
      access.pictures = [this]() -> const PictureEncoder& { return pictures(); };
    if (!recipe_.features.text_tower.empty()) access.texts = [this]() -> const TextEncoder& { return texts(); };
    return access;
  }

 private:
  const PictureEncoder& pictures() {
    if (!pictures_) {
      pictures_ = PictureEncoder::open(recipe_.features.image_tower, device_, recipe_.data.decode_options());
      log::info("tower of pictures: {}", pictures_->weights().describe());
    }
    return *pictures_;
  }
  const TextEncoder& texts() {
    if (!texts_) {
      texts_ = TextEncoder::open(recipe_.features.text_tower, device_, recipe_.features.text_vocabulary);
      log::info("tower of texts: {}", texts_->weights().describe());
    }
    return *texts_;
  }

  const AlignRecipe& recipe_;
  std::string device_;
  std::unique_ptr<PictureEncoder> pictures_;
  std::unique_ptr<TextEncoder> texts_;
};

FeaturePlaces training_places(const AlignRecipe& recipe, const fs::path& out) {
  return {.image_store = recipe.features.image_store,
          .text_store = recipe.features.text_store,
          .own_images = out / "features" / "pictures.emb",
          .own_texts = out / "features" / "captions.emb"};
}

/// Of the set that judges: in files of its own, for another manifest may give other pictures the same names.
FeaturePlaces evaluation_places(const AlignRecipe& recipe, const fs::path& out) {
  FeaturePlaces places = training_places(recipe, out);
  places.own_images = out / "features" / "eval-pictures.emb";
  places.own_texts = out / "features" / "eval-captions.emb";
  places.may_make_others = true;
  return places;
}

/// Stores that the run makes, which may be links to where there is room for them.
void require_distinct_stores(const AlignRecipe& recipe, const fs::path& out) {
  const FeaturePlaces training = training_places(recipe, out), evaluation = evaluation_places(recipe, out);
  require_distinct({{"the store of the pictures", training.own_images},
                    {"the store of the captions", training.own_texts},
                    {"the store of the pictures that judge", evaluation.own_images},
                    {"the store of the captions that judge", evaluation.own_texts}});
}

struct TrainingFeatures {
  PairList list;
  FeatureSide pictures, captions;
};

TrainingFeatures training_features(const AlignRecipe& recipe, const fs::path& out, const TowerAccess& towers) {
  TrainingFeatures found;
  found.list = read_pairs(recipe.data);
  PairList& list = found.list;
  log::info("{} pairs of {} pictures and {} different captions", list.pairs.size(), list.images.size(),
            list.texts.size());
  if (list.empty_captions > 0) log::warning("{} captions are empty and are left out", list.empty_captions);
  const FeaturePlaces places = training_places(recipe, out);
  const std::string manifest = recipe.data.manifests.front();
  const std::vector<fs::path> manifests(recipe.data.manifests.begin(), recipe.data.manifests.end());

  FeatureEmbedOptions making;
  making.embed.type = recipe.features.type;
  making.embed.max_bad_share = recipe.data.max_bad_share;
  making.embed.settings = {};  // the recipe's keys
  if (!recipe.features.views.empty()) making.views = views_named(recipe.features.views);
  found.pictures = picture_features(list.images, manifest, places, towers, making);
  if (found.pictures.records.empty()) {
    const std::int64_t dropped = drop_pictures_without_features(list, places.own_images);
    log::warning("{} pictures cannot be read and are left out", dropped);
    found.pictures.records = found.pictures.store->records_of(list.images.keys, manifest);
  }
  found.captions = caption_features(list.texts, manifests, places, towers, making.embed);
  return found;
}

std::string hash_of(const FeatureMoments& moments) {
  Sha256 hash;
  for (const at::Tensor& part : {moments.mean.contiguous(), moments.deviation.contiguous()}) {
    hash.update({static_cast<const char*>(part.const_data_ptr()), part.nbytes()});
  }
  return hash.hex();
}

TowerOfSide side_record(const FeatureSide& side, const std::string& spec, const FeatureMoments& moments) {
  return {.weights = side.store->source(),
          .spec = absolute_tower_spec(spec),
          .width = side.store->width(),
          .items = static_cast<std::int64_t>(side.records.size()),
          .contents = side.contents(),
          .moments = hash_of(moments)};
}

/// A checkpoint's worth on the set that the recipe names; the curve goes to OUT/evaluations.jsonl.
double judge(const AlignedSet& set, const AlignModel& heads, const AlignEvalOptions& eval, const fs::path& out,
             std::int64_t step) {
  const RetrievalResult result = set.evaluate(heads, checkpoint_path(out, step).string(), 0);
  const double score = score_of(result.itc, eval.score);
  record_evaluation(out, step, eval.manifest, figures_along(result));
  log::info("step {}: {}: text -> image R@1/5/10 {:.1f} {:.1f} {:.1f}, image -> text {:.1f} {:.1f} {:.1f}; {} {:.2f}",
            step, eval.manifest, result.itc.image.r1, result.itc.image.r5, result.itc.image.r10, result.itc.text.r1,
            result.itc.text.r5, result.itc.text.r10, name_of(kAlignScoreNames, eval.score), score);
  return score;
}

RecipeTexts recipe_texts(const AnyOptions<TaskRecipe>& recipe, std::vector<std::pair<std::string, std::string>> files) {
  return {.config_json = to_json(recipe),
          .default_config_json = to_json(recipe.defaults()),
          .recipe_toml = to_toml(recipe),
          .moved_keys = moved_keys(recipe),
          .files = std::move(files)};
}

}  // namespace

RunResult align(const AlignCommand& command) {
  const auto& recipe = command.recipe.get<AlignRecipe>();
  if (recipe.data.manifests.empty()) {
    throw UsageError("the recipe names no data: set data.manifests to the files of your pictures and captions");
  }
  choose_device(command.device);
  const RunLock lock(command.out);
  require_distinct_stores(recipe, command.out);
  RecipeTowers towers(recipe, command.device);
  TrainingFeatures data = training_features(recipe, command.out, towers.access());
  const std::optional<fs::path> checkpoint = starting_point(command.resume, command.out);
  const DataMatch match =
      checkpoint ? compare_data(*checkpoint, data.list.digests, command.allow_changed_data) : DataMatch::kUnknown;

  const FeatureMatrix pictures = data.pictures.matrix(), captions = data.captions.matrix();
  const FeatureMoments picture_moments = feature_moments(pictures), caption_moments = feature_moments(captions);
  const TowerRecord record = {side_record(data.pictures, recipe.features.image_tower, picture_moments),
                              side_record(data.captions, recipe.features.text_tower, caption_moments)};
  if (checkpoint) require_same_features(*checkpoint, record, command.allow_changed_data);

  const std::int64_t seed = recipe.training.length.seed;
  AlignModel model(recipe.align, {pictures.width(), captions.width()}, seed);
  model.set_moments(picture_moments, caption_moments);
  set_groups(data.list.pairs, recipe.align.contrast.positives);
  FeatureBatchSource source(pictures, captions, std::move(data.list.pairs), recipe.batch, seed);

  std::optional<AlignedSet> set;
  std::optional<EarlyStop> stop;
  if (!recipe.eval.manifest.empty()) {
    DataOptions evaluated = recipe.data;
    evaluated.manifests = {recipe.eval.manifest};
    set.emplace(evaluated, evaluation_places(recipe, command.out), towers.access());
    require_same(record.image.weights, "the training pictures' features", set->pictures().store->source(),
                 set->pictures().store->path().string());
    require_same(record.text.weights, "the training captions' features", set->captions().store->source(),
                 set->captions().store->path().string());
    stop.emplace(recipe.eval.stop,
                 [&](std::int64_t step) { return judge(*set, model, recipe.eval, command.out, step); });
  }
  AlignTask task(
      model,
      recipe_texts(command.recipe, {{kTowerRecord, to_json(record)}, {kDataRecord, data_record(data.list.digests)}}),
      Group::alone(), stop ? &*stop : nullptr);
  if (choose_device(command.device).is_cpu()) log::info("{}", kernel_choice().describe());

  RunSetup run{.out = command.out, .resume = command.resume, .device = command.device};
  // Where towers, stores and pictures lie changes nothing: what they are has been compared.
  for (const char* key : {"features.image_tower", "features.text_tower", "features.text_vocabulary",
                          "features.image_store", "features.text_store", "data.image_root"}) {
    run.may_change.emplace_back(key);
  }
  if (match != DataMatch::kUnknown) run.may_change.emplace_back("data.manifests.");
  run.may_change_data = match == DataMatch::kChanged || command.allow_changed_data;
  if (run.may_change_data) {
    for (const char* key : {"data.manifests.", "data.strip_parts"}) run.may_change.emplace_back(key);
  }
  run.validation = stop ? &*stop : nullptr;
  return run_training(task, source, recipe.training, run);
}

}  // namespace vicha
