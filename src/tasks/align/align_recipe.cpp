#include "tasks/align/align_recipe.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/printable.h"
#include "features/feature_embed.h"

namespace vicha {
namespace {

constexpr Choice<StoreType> kStoreTypeNames[] = {
    {"float16", StoreType::kFloat16}, {"float32", StoreType::kFloat32}, {"int8", StoreType::kInt8}};

/// What of the data section means something here: features are made before training, and all of them are read.
struct DataSection {
  DataOptions& data;
  FeatureBatchOptions& batch;

  void describe(Visitor& v) {
    v.field({"manifests", "", "Files of records, one after the other: JSON lists or JSON lines"}, data.manifests);
    v.field({"image_root", "", "Folder in which relative picture names start; empty: the manifest's own folder"},
            data.image_root);
    v.field({"strip_parts", "parts", "Leading parts of every picture's name to replace by image_root", 0, 100},
            data.strip_parts);
    v.choice({.key = "truncated", .meaning = "What to do with pictures whose file ends early"}, data.truncated,
             {{"reject", TruncatedImages::kReject}, {"accept", TruncatedImages::kAccept}});
    v.choice(
        {.key = "orientation",
         .meaning = "Which way up pictures are read: as they lie in the file, or as EXIF says the camera was held"},
        data.orientation, {{"file", ImageOrientation::kFile}, {"exif", ImageOrientation::kExif}});
    v.field(
        {"max_bad_share", "", "Share of pictures that may be unreadable; a few always may. They are left out", 0, 1},
        data.max_bad_share);
    batch.describe(v);
  }
};

std::string head_text(const HeadOptions& head) {
  return head.blocks == 0 ? "linear"
                          : fmt::format("linear and {} residual blocks, dropout {:g}", head.blocks, head.dropout);
}

void check_views(const std::string& views) {
  try {
    views_named(views);
  } catch (const UsageError&) {
    throw UsageError(fmt::format("features.views = {} is none: give flip, crops:N or flip+crops:N", printable(views)));
  }
}

}  // namespace

void AlignFeatureOptions::describe(Visitor& v) {
  v.field({"image_tower", "",
           "Tower of pictures: vit:FILE, dinov2:FILE, siglip:FILE, clip:FILE, torchscript:FILE, or a folder with a "
           "config.json (docs/towers.md). Not needed where image_store holds all features"},
          image_tower);
  v.field({"text_tower", "", "Tower of texts: bert:FILE, clip:FILE, or such a folder. Not needed beside text_store"},
          text_tower);
  v.field({"text_vocabulary", "", "Vocabulary of the text tower; empty: the file beside its weights"}, text_vocabulary);
  v.field(
      {"image_store", "",
       "Pooled features of the pictures (`vicha embed`); empty: made when the run begins, OUT/features/pictures.emb"},
      image_store);
  v.field({"text_store", "", "Features of the captions; empty: made when the run begins, OUT/features/captions.emb"},
          text_store);
  v.field({"views", "",
           "Of features that are made, each picture also as: flip (its mirror image), crops:N (N parts of it), "
           "flip+crops:N; each step draws one. Empty: as it is"},
          views);
  v.choice({.key = "type", .meaning = "Type of the numbers in stores that are made"}, type, kStoreTypeNames);
}

double score_of(const RetrievalMetrics& m, AlignScore score) {
  switch (score) {
    case AlignScore::kR1:
      return (m.image.r1 + m.text.r1) / 2;
    case AlignScore::kR5:
      return (m.image.r5 + m.text.r5) / 2;
    case AlignScore::kR10:
      return (m.image.r10 + m.text.r10) / 2;
    case AlignScore::kMean:
      return m.mean();
    case AlignScore::kTextR1:
      return m.image.r1;
    case AlignScore::kTextR10:
      return m.image.r10;
    case AlignScore::kImageR1:
      return m.text.r1;
    case AlignScore::kImageR10:
      return m.text.r10;
  }
  return 0.0;
}

void AlignEvalOptions::describe(Visitor& v) {
  v.field({"manifest", "", "Retrieval set on which each checkpoint is judged; empty: none, and the last is the best"},
          manifest);
  v.choice({.key = "score",
            .meaning = "What decides which checkpoint is the best: R@1, R@5 or R@10, mean of both directions; the mean "
                       "of all six; or one of one direction"},
           score, kAlignScoreNames);
  stop.describe(v);
}

AlignRecipe::AlignRecipe() : TaskRecipe("align") {
  training.length.epochs = 10;
  training.optimizer.lr = 1e-3;
  training.optimizer.weight_decay = 0.05;
  training.schedule.kind = ScheduleKind::kStep;
  training.schedule.min_lr = 0.0;
  training.schedule.warmup_lr = 0.0;
  training.schedule.warmup_share = 0.05;
  data.batch_size = batch.batch_size;
  data.concepts.enabled = false;
  model.concepts.enabled = false;
}

void AlignRecipe::describe(Visitor& v) {
  v.field(
      {.key = "task", .meaning = "What the run trains; a checkpoint says by it what it holds", .choices = {"align"}},
      task);
  v.section("align", "Heads and their contrast", align);
  v.section("features", "Frozen towers and the stores of their features", features);
  DataSection section{data, batch};
  v.section("data", "Pictures and captions", section);
  training.describe(v);
  v.section("eval", "Evaluation along the way, early stopping, the best checkpoint", eval);
}

void AlignRecipe::finish() {
  data.batch_size = batch.batch_size;
  if (features.image_tower.empty() && features.image_store.empty()) {
    // A recipe that others derive from names neither; a run is asked by `vicha align`.
    if (!data.manifests.empty()) {
      throw UsageError(
          "no features of pictures: set features.image_tower (a tower that makes them, docs/towers.md) or "
          "features.image_store (`vicha embed`)");
    }
  }
  if (features.text_tower.empty() && features.text_store.empty() && !data.manifests.empty()) {
    throw UsageError(
        "no features of captions: set features.text_tower (a tower that makes them, docs/towers.md) or "
        "features.text_store (`vicha embed`)");
  }
  if (!features.image_store.empty() && !features.views.empty()) {
    throw UsageError(fmt::format(
        "features.image_store = {} holds its views already; features.views is of a store that the run makes "
        "(`vicha embed --views` has them, too)",
        features.image_store));
  }
  if (!features.views.empty()) check_views(features.views);
  if (eval.stop.patience > 0 && eval.manifest.empty()) {
    throw UsageError(
        fmt::format("eval.patience = {} needs something to judge by: set eval.manifest", eval.stop.patience));
  }
  if (align.contrast.temperature < align.contrast.min_temperature) {
    throw UsageError(fmt::format("align.contrast.temperature = {:g} is below align.contrast.min_temperature = {:g}",
                                 align.contrast.temperature, align.contrast.min_temperature));
  }
  if (training.schedule.late_parts == LateParts::kOwn && training.schedule.kind == ScheduleKind::kReleased) {
    throw UsageError("schedule.late_parts = own is not for schedule.kind = released; set schedule.kind=step");
  }
}

std::vector<std::pair<std::string, std::string>> AlignRecipe::facts() const {
  const auto from = [](const std::string& tower, const std::string& store) {
    return store.empty() ? tower : tower.empty() ? store : fmt::format("{}, features in {}", tower, store);
  };
  return {{"Tower of pictures", from(features.image_tower, features.image_store)},
          {"Tower of texts", from(features.text_tower, features.text_store)},
          {"Common embedding", fmt::format("{} numbers", align.embed_dim)},
          {"Head of pictures", head_text(align.image_head)},
          {"Head of texts", head_text(align.text_head)},
          {"Contrast", fmt::format("{}, positives: {}", name_of(kContrastLossNames, align.contrast.loss),
                                   name_of(kPairPositivesNames, align.contrast.positives))}};
}

}  // namespace vicha
