#include "tasks/grounding/grounding_recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "objectives/registry.h"
#include "tasks/downstream/network/attention_maps.h"
#include "tasks/retrieval/objectives_training.h"
#include "tasks/retrieval/retrieval_recipe.h"

namespace vicha {

void GroundingMapOptions::describe(Visitor& v) {
  v.choice(
      {"map", "",
       "What says where the picture shows what is said: Grad-CAM of matching (the paper's), Grad-CAM of the "
       "contrast, or the similarities of words and patches (model.fusion.similarity; of words and regions where the "
       "model has none of those and irta.enabled = true). With model.fusion.kind = "
       "\"joint\" the first and the last are maps of regions"},
      map, kGroundingMapNames);
  v.field({"layer", "",
           "Of map = itm: the fusion layer, over all BERT layers from 0; -1: the third, or the last but "
           "one where there are fewer than four",
           -1, 1023},
          layer);
  v.field({"block", "", "Of map = itc: the block of the image encoder, from 0; -1: the ninth, or the last", -1, 1023},
          block);
  v.field({"alpha", "", "A box scores the sum of the map in it over its area to this power", 0, 2}, alpha);
  v.choice({"metric", "",
            "How boxes are compared and chosen: exactly, or as the public code does (overlap a pixel narrower; an "
            "expression without a positive score takes the box of the one before)"},
           metric, kGroundingMetricNames);
  v.field({"boxes", "",
           "Candidate boxes: a JSON object that gives for each picture, by its name in the manifest or its image_id, a "
           "list of [x, y, width, height]; empty: the records' own field \"boxes\""},
          boxes);
}

std::vector<std::string> GroundingMapOptions::settings() const {
  return {fmt::format("map={}", name_of(kGroundingMapNames, map)), fmt::format("layer={}", layer),
          fmt::format("block={}", block), fmt::format("alpha={}", alpha),
          fmt::format("metric={}", name_of(kGroundingMetricNames, metric))};
}

void GroundingOptions::describe(Visitor& v) {
  maps.describe(v);
  v.field(
      {"supervised", "",
       "Also learn from right boxes (the field \"bbox\"): a head judges candidate boxes, instead of the maps. Training "
       "then shows whole pictures, neither mirrored nor changed by RandAugment"},
      supervised);
  v.field({.key = "weight", .meaning = "Weight of that loss beside those of the objectives", .min = 0}, weight);
  v.field({"width", "channels", "Width of that head", 1, 65536}, width);
}

GroundingRecipe::GroundingRecipe() : DownstreamRecipe("grounding") {
  set_retrieval_defaults(objectives, data);
  data.transform.crop = false;
}

void GroundingRecipe::describe(Visitor& v) {
  describe_model(v);
  objectives.describe(v);
  v.section("grounding", "From expressions to boxes", grounding);
  describe_tail(v);
}

bool GroundingRecipe::has_objectives() const {
  return std::ranges::any_of(objective_kinds(),
                             [&](const ObjectiveKind& kind) { return objectives.at(kind.key).enabled; });
}

void GroundingRecipe::finish() {
  TaskRecipe::finish();
  require_pairs_suffice(objectives, task);
  objectives.check(model);
  const GroundingMapOptions& maps = grounding.maps;
  if (maps.layer >= 0) fusion_layer_of(model.text, maps.layer);
  if (maps.block >= model.vit.depth) {
    throw UsageError(fmt::format("grounding.block = {}: the image encoder has {} blocks", maps.block, model.vit.depth));
  }
  if (maps.map == GroundingMap::kSimilarity && !model.fusion.similarity && !objectives.at("irta").enabled) {
    throw UsageError(
        "grounding.map = similarity needs model.fusion.similarity = true (words and patches), or irta.enabled = true "
        "(words and regions)");
  }
  if (!grounding.supervised && !has_objectives()) {
    throw UsageError("nothing is learnt: switch itc and itm on, or set grounding.supervised=true");
  }
  if (!grounding.supervised) return;
  // Boxes hold for whole pictures as they are.
  data.transform.crop = false;
  data.transform.flip_probability = 0;
  data.transform.augment.enabled = false;
  data.features.whole = true;
}

std::vector<std::pair<std::string, std::string>> GroundingRecipe::facts() const {
  std::vector<std::pair<std::string, std::string>> facts = {
      {"Starts from", init.checkpoint.empty() ? "no checkpoint" : init.checkpoint}, objectives_fact(objectives)};
  facts.emplace_back("Boxes by", grounding.supervised ? "a head that learnt from right boxes"
                                                      : std::string(name_of(kGroundingMapNames, grounding.maps.map)));
  return facts;
}

std::vector<std::string> GroundingRecipe::evaluation_settings() const {
  std::vector<std::string> settings = DownstreamRecipe::evaluation_settings();
  std::ranges::copy(grounding.maps.settings(), std::back_inserter(settings));
  if (!grounding.maps.boxes.empty()) settings.push_back("boxes=" + grounding.maps.boxes);
  return settings;
}

}  // namespace vicha
