#include "tasks/pretrain/pretrain_recipe.h"

#include <fmt/format.h>

#include "base/error.h"
#include "concepts/store/store.h"
#include "objectives/mrm.h"
#include "objectives/mtm.h"
#include "tasks/host/model_files.h"
#include "tasks/pretrain/region_data.h"
#include "tasks/pretrain/region_source.h"
#include "tasks/pretrain/teacher.h"
#include "tasks/retrieval/objectives_training.h"

namespace vicha {

void PretrainRecipe::describe(Visitor& v) {
  describe_model(v);
  objectives.describe(v);
  describe_training(v);
  v.section("eval", "Evaluation along the way", eval);
  v.moved("model.mae_decoder", "mae.decoder");
}

void PretrainRecipe::finish() {
  TaskRecipe::finish();
  objectives.check(model);
}

void PretrainRecipe::read_sizes(const std::string& device) {
  TaskRecipe::read_sizes(device);
  auto& teach = objectives.get<TeachOptions>();
  if (teach.enabled && teach.width == 0) teach.width = teacher_width(teach, device);
  read_feature_width();
}

void PretrainRecipe::make_data(const std::filesystem::path& out, const std::string& device, const Group& group) {
  make_region_data(data, model, out, device, group);
  read_feature_width();
}

/// Of the store of regions' features, where somebody reads it.
void PretrainRecipe::read_feature_width() {
  const auto& mrm = objectives.get<MrmOptions>();
  if (!mrm.enabled || mrm.target != MrmTarget::kFeature) return;
  if (data.regions.store.empty()) {
    // Before data and model are made, which takes minutes at full size.
    if (data.regions.source.empty()) require_region_features(model);
    return;
  }
  const std::int64_t width = EmbeddingStore::open(data.regions.store).shape().width;
  std::int64_t& own = model.regions.feature_width;
  if (own != 0 && own != width) {
    throw DataError(data.regions.store,
                    fmt::format("holds features of {} numbers, and the model tells such of {} "
                                "(model.regions.feature_width)",
                                width, own),
                    "Set model.regions.feature_width = 0, which takes what the store says, or give the other store");
  }
  own = width;
}

void PretrainRecipe::read_records(const Manifest& manifest) {
  if (!region_needs(objectives, model).tags) return;
  const TagVocabulary vocabulary = TagVocabulary::of(manifest);
  const std::int64_t tags = vocabulary.size();
  const std::string where = data.manifests.front();
  if (tags == 0) {
    throw DataError(where, "has no region with a tag: ira and mtm have nothing to learn",
                    "Assign tags with a lower threshold (`vicha concepts assign --regions --threshold`), or from "
                    "named boxes (`vicha data region-tags`)");
  }
  // Before the model is made, whose head would be of another size. Of a file of weights nothing is known.
  std::error_code none;
  if (objectives.get<MtmOptions>().enabled && std::filesystem::is_directory(init.checkpoint, none)) {
    vocabulary.require_of(checkpoint_folder(init.checkpoint), where);
  }
  std::int64_t& own = model.regions.tags;
  if (own != 0 && own != tags) {
    throw DataError(
        where, fmt::format("has {} tags of regions, and the model was made for {} (model.regions.tags)", tags, own),
        "Set model.regions.tags = 0, which takes what the manifests say, or give the manifests of those");
  }
  own = tags;
}

std::vector<std::pair<std::string, std::string>> PretrainRecipe::facts() const { return {objectives_fact(objectives)}; }

}  // namespace vicha
