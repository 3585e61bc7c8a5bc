#include "guests/colour.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "models/fusion.h"
#include "nn/position.h"
#include "nn/vit_block.h"

namespace guests {

using namespace vicha;

void ColourOptions::describe(Visitor& v) {
  v.field({"classes", "", "Names of the classes, as the records' field \"colour\" has them"}, classes);
  v.field({"captions", "", "Whether the caption is read beside the picture"}, captions);
}

void ColourEvaluation::describe(Visitor& v) {
  v.field({"manifest", "", "Set that is evaluated at each checkpoint; empty: none"}, manifest);
}

void ColourRecipe::describe(Visitor& v) {
  describe_model(v);
  v.section("colour", "Classes of pictures", colour);
  describe_training(v);
  v.section("eval", "Evaluation along the way", eval);
}

void ColourRecipe::finish() {
  TaskRecipe::finish();
  if (colour.classes.size() < 2) throw UsageError("colour.classes names fewer than two classes");
  std::vector<std::string> sorted = colour.classes;
  std::ranges::sort(sorted);
  if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end()) {
    throw UsageError(fmt::format("colour.classes names '{}' twice", *twice));
  }
}

std::vector<std::pair<std::string, std::string>> ColourRecipe::facts() const {
  return {{"Classes", fmt::format("{}", fmt::join(colour.classes, ", "))}};
}

Schema colour_schema(const ColourRecipe& recipe) {
  return {.caption = recipe.colour.captions,
          .columns = {{.field = "colour", .type = ColumnType::kLabel, .values = recipe.colour.classes}}};
}

namespace {

/// The task's own loss is all there is.
ObjectivesOptions no_objectives() {
  ObjectivesOptions options;
  options.enable_only({});
  return options;
}

}  // namespace

ColourModel::ColourModel(const ColourRecipe& recipe, std::uint64_t seed)
    : TaskModel(recipe.model, no_objectives(), seed), captions_(recipe.colour.captions) {
  ParameterStore& store = vicha().parameters();
  const ParameterStore::Scope heads(store, "heads"), scope(store, "colour_head");
  const std::int64_t width = captions_ ? recipe.model.text.width : recipe.model.vit.width;
  head_ = add_linear(store, "colour_head.", width, static_cast<std::int64_t>(recipe.colour.classes.size()),
                     Init::kLinearDefault);
}

at::Tensor ColourModel::logits(const Batch& batch, const Dropout& dropout) const {
  const Encoders& model = vicha().online();
  const at::Device device = vicha().device();
  const at::Tensor pixels = unfold_patches(batch.image.to(device), vicha().options().vit.patch);
  const ImageStates image = model.encode_image({pixels, batch.image.size(0), batch.concepts}, dropout);
  if (!captions_) return head_(image.cls);
  const TextStates text = model.encode_text(PackedText::packed(batch.text, device), dropout);
  FusionPlan plan;
  for (std::int64_t i = 0; i < text.pack.size(); ++i) {
    plan.sequences.push_back(FusionPlan::sequence(text.pack, i, 0, i, /*read=*/{0}));
  }
  return head_(
      fuse(model.text, text.states, model.text.image_kv(image.fusion_rows()), plan, FusedImages(image), dropout));
}

}  // namespace guests
