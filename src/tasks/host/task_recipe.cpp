#include "tasks/host/task_recipe.h"

#include <fmt/format.h>

#include "base/error.h"
#include "tasks/host/aligned_start.h"
#include "tasks/host/feature_tower.h"

namespace vicha {

void InitOptions::describe(Visitor& v) {
  v.field({"checkpoint", "",
           "Released ViCHA or ALBEF checkpoint, or one of ours (a folder: of a checkpoint, or of a run for its last "
           "one), to start from; empty: none"},
          checkpoint);
  v.field({"vit", "", "DeiT or timm ViT weights for the image encoder; empty: random"}, vit);
  v.field(
      {"text", "", "BERT weights (file or Hugging Face folder) for text, fusion and concept encoders; empty: random"},
      text);
  v.field({"heads", "",
           "Run of `vicha align` (or a checkpoint of one) on the pooled features of the tower whose patches the model "
           "reads, and of init.text: its heads become model.heads, and the contrast starts from them; empty: none"},
          heads);
  v.field({"vocabulary", "", "WordPiece vocabulary (vocab.txt); needed by every run"}, vocabulary);
  v.choice(
      {.key = "text_projection",
       .meaning = "Where the text projections start: at random, or whitening the training captions' states (for text "
                  "encoders whose [CLS] hardly differs between texts)"},
      text_projection, {{"default", TextProjection::kDefault}, {"whiten", TextProjection::kWhiten}});
}

void TaskRecipe::describe_model(Visitor& v) {
  v.field({.key = "task", .meaning = "What the run trains; a checkpoint says by it what it holds", .choices = {task}},
          task);
  v.field({"freeze", "",
           "Parts that do not learn: image, text, fusion, concepts, concept_encoder (of concepts, all but the map to "
           "the image encoder's width), projections, or the heads of an objective (mlm_head)"},
          freeze);
  v.field({.key = "fusion_lr_scale",
           .meaning = "Learning rate of the fusion layers and of the heads that read them (ITM, MLM), as a multiple "
                      "of optimizer.lr: they often start at random and have fewer steps",
           .min = 0},
          fusion_lr_scale);
  v.field(
      {.key = "layer_decay",
       .meaning = "Each layer of the image encoder, and of text and fusion together, learns at this share of the rate "
                  "of the layer above it; for fine-tuning",
       .min = 0,
       .max = 1},
      layer_decay);
  v.field({"text_cache_mib", "MiB", "Memory for the states of captions under a frozen text encoder", 0, 1e7},
          text_cache_mib);
  v.section("model", "Sizes", model);
}

void TaskRecipe::describe_training(Visitor& v) {
  v.section("init", "Where the weights start", init);
  v.section("data", "Pictures and captions", data);
  training.describe(v);
}

void TaskRecipe::finish() {
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
                    "would replace them; set init.text_projection=default",
                    init.checkpoint));
  }
  if (!init.heads.empty() && init.text_projection == TextProjection::kWhiten) {
    throw UsageError(
        fmt::format("init.heads = {} starts the projections at 0, beside the heads, and init.text_projection = whiten "
                    "would not; set init.text_projection=default",
                    init.heads));
  }
  if (training.schedule.late_parts == LateParts::kOwn && training.schedule.kind == ScheduleKind::kReleased) {
    throw UsageError(
        "schedule.late_parts = own draws the curve over a part of the run, and schedule.kind = released goes by "
        "epochs; set schedule.kind=step");
  }
  const bool stored = !data.features.store.empty();
  if (model.vit.reads_features() && !stored) {
    throw UsageError(
        "model.image.input = features reads stored features of pictures: name them in data.features.store (they are "
        "made "
        "by `vicha embed --patches`)");
  }
  if (!model.vit.reads_features() && stored) {
    throw UsageError(
        fmt::format("data.features.store = {} is of no use to a model that reads pixels; set model.image.input = "
                    "\"features\", or leave the store out",
                    data.features.store));
  }
  model.check();
}

void TaskRecipe::read_sizes(const std::string&) {
  if (model.vit.reads_features()) fit_to_store(model, *open_feature_store(data.features));
  if (!init.heads.empty()) fit_to_heads(model, init.heads);
  if (model.vit.reads_features() || !init.heads.empty()) finish();
}

}  // namespace vicha
