#include "tasks/pretrain_recipe.h"

#include <fmt/format.h>

#include "base/error.h"
#include "config/serialize.h"

namespace vicha {

void PretrainRecipe::finish() {
  const DataOptions defaults;
  auto& side = data.transform.image_res;
  if (side != defaults.transform.image_res && side != model.vit.image_res) {
    throw UsageError(
        fmt::format("data.transform.image_res = {} differs from model.vit.image_res = {}; give the latter only", side,
                    model.vit.image_res));
  }
  side = model.vit.image_res;
  if (model.concepts.enabled && !data.concepts.enabled) {
    throw UsageError(
        "the model reads concepts (model.concepts.enabled) but data.concepts.enabled is false; set both the same");
  }
  data.concepts.enabled = model.concepts.enabled;
  if (data.max_tokens > model.text.max_positions || data.concepts.max_tokens > model.text.max_positions) {
    throw UsageError(
        fmt::format("data.max_tokens = {} and data.concepts.max_tokens = {} must not exceed "
                    "model.text.max_positions = {}",
                    data.max_tokens, data.concepts.max_tokens, model.text.max_positions));
  }
  if (!init.checkpoint.empty() && init.text_projection == TextProjection::kWhiten) {
    throw UsageError(
        fmt::format("init.checkpoint = {} brings text projections that have learnt, and init.text_projection = whiten "
                    "would replace "
                    "them; set init.text_projection=default",
                    init.checkpoint));
  }
  if (training.schedule.late_parts == LateParts::kOwn && training.schedule.kind == ScheduleKind::kReleased) {
    throw UsageError(
        "schedule.late_parts = own draws the curve over a part of the run, and schedule.kind = released goes by "
        "epochs; "
        "set schedule.kind=step");
  }
  objectives.shape_model(model);
  model.check();
}

PretrainRecipe load_pretrain_recipe(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  PretrainRecipe recipe;
  load_recipe(recipe, file);
  apply_overrides(recipe, overrides);
  recipe.finish();
  return recipe;
}

}  // namespace vicha
