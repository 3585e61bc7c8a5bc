#include "tasks/retrieval/retrieval_recipe.h"

#include <fmt/format.h>

#include "base/error.h"
#include "objectives/itc.h"
#include "objectives/teach.h"
#include "tasks/retrieval/objectives_training.h"

namespace vicha {

void set_retrieval_defaults(ObjectivesOptions& objectives, DataOptions& data) {
  objectives.enable_only({"itc", "itm"});
  objectives.get<ItcOptions>().positives = Positives::kImageId;
  objectives.clamp_temperature = false;
  data.transform.crop_scale_min = 0.5;
  data.concepts.random_share = 0;
}

void require_pairs_suffice(const ObjectivesOptions& objectives, const std::string& task) {
  if (objectives.get<TeachOptions>().enabled) {
    throw UsageError(
        fmt::format("teach.enabled = true: {} has no teacher; pretrain with it, and start from that run", task));
  }
  for (const char* key : {"ira", "mrm", "mtm"}) {
    if (!objectives.at(key).enabled) continue;
    throw UsageError(
        fmt::format("{}.enabled = true: {} has no tags and features of regions; pretrain with it, and start from that "
                    "run",
                    key, task));
  }
}

void RetrievalEvalOptions::describe(Visitor& v) {
  EvalOptions::describe(v);
  stop.describe(v);
}

RetrievalRecipe::RetrievalRecipe() : TaskRecipe("retrieval") { set_retrieval_defaults(objectives, data); }

void RetrievalRecipe::describe(Visitor& v) {
  describe_model(v);
  objectives.describe(v);
  describe_training(v);
  v.section("eval", "Evaluation along the way", eval);
}

void RetrievalRecipe::finish() {
  TaskRecipe::finish();
  require_pairs_suffice(objectives, task);
  objectives.check(model);
}

std::vector<std::pair<std::string, std::string>> RetrievalRecipe::facts() const {
  return {objectives_fact(objectives)};
}

}  // namespace vicha
