// Everything a recipe can say about a pretraining run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/pipeline/data_options.h"
#include "models/model_options.h"
#include "objectives/pretrain_step.h"
#include "tasks/ranking.h"
#include "train/train_options.h"

namespace vicha {

/// Where the text projections start: at random, or whitening the training captions' states.
enum class TextProjection { kDefault, kWhiten };

struct InitOptions {
  std::string checkpoint, vit, text, vocabulary;
  TextProjection text_projection = TextProjection::kDefault;

  void describe(Visitor& v) {
    v.field({"checkpoint", "",
             "Released ViCHA or ALBEF checkpoint, or one of ours (a folder: of a checkpoint, or of a run for its last "
             "one), to start from; empty: none"},
            checkpoint);
    v.field({"vit", "", "DeiT or timm ViT weights for the image encoder; empty: random"}, vit);
    v.field(
        {"text", "", "BERT weights (file or Hugging Face folder) for text, fusion and concept encoders; empty: random"},
        text);
    v.field({"vocabulary", "", "WordPiece vocabulary (vocab.txt); needed by every run"}, vocabulary);
    v.choice(
        {.key = "text_projection",
         .meaning = "Where the text projections start: at random, or whitening the training captions' states (for text "
                    "encoders whose [CLS] hardly differs between texts)"},
        text_projection, {{"default", TextProjection::kDefault}, {"whiten", TextProjection::kWhiten}});
  }
};

struct EvalOptions {
  std::string manifest;
  std::int64_t k_test = 256;
  Ranking ranking = Ranking::kMatching;
  std::int64_t batch_size = 64;

  void describe(Visitor& v) {
    v.field({"manifest", "", "Retrieval set that is evaluated at each checkpoint; empty: none"}, manifest);
    v.field({"k_test", "candidates", "Best candidates of each query that are matched and re-ranked", 0, 1e9}, k_test);
    v.choice(
        {.key = "ranking",
         .meaning = "What orders them: matching alone, as the paper, or the product of its odds and the contrast's "
                    "probability"},
        ranking, kRankingNames);
    v.field({"batch_size", "pictures", "Pictures encoded at once", 1, 1e6}, batch_size);
  }
};

struct PretrainRecipe {
  ModelOptions model;
  ObjectivesOptions objectives;
  InitOptions init;
  DataOptions data;
  TrainOptions training;
  EvalOptions eval;
  std::vector<std::string> freeze;
  double fusion_lr_scale = 1.0;
  std::int64_t text_cache_mib = 512;

  void describe(Visitor& v) {
    v.field({"freeze", "",
             "Parts that do not learn: image, text, fusion, concepts, concept_encoder (of concepts, all but the "
             "map to the image encoder's width), mlm_head"},
            freeze);
    v.field({.key = "fusion_lr_scale",
             .meaning = "Learning rate of the fusion layers and of the heads that read them (ITM, MLM), as a multiple "
                        "of optimizer.lr: they often start at random and have fewer steps",
             .min = 0},
            fusion_lr_scale);
    v.field({"text_cache_mib", "MiB", "Memory for the states of captions under a frozen text encoder", 0, 1e7},
            text_cache_mib);
    v.section("model", "Sizes", model);
    objectives.describe(v);
    v.section("init", "Where the weights start", init);
    v.section("data", "Pictures and captions", data);
    training.describe(v);
    v.section("eval", "Evaluation along the way", eval);
  }

  /// Makes the parts fit each other (picture size, concepts, what the objectives need of the model) and checks them.
  /// Throws UsageError naming the keys.
  void finish();
};

/// Reads a recipe file, applies `--set` overrides, finishes it.
PretrainRecipe load_pretrain_recipe(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

}  // namespace vicha
