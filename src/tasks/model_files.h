// Models from files: starting weights of a run, and checkpoint folders read back.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/vicha.h"
#include "tasks/pretrain_recipe.h"
#include "text/wordpiece/wordpiece.h"

namespace vicha {

/// Fills a fresh model from recipe.init and logs what was loaded, missing and left aside. Throws DataError if a file
/// does not fit the model.
void initialise_model(Vicha& model, const PretrainRecipe& recipe);

/// The vocabulary as a tokenizer; throws UsageError if the recipe names none, or DataError if its size or special ids
/// are not the model's.
std::shared_ptr<const WordPiece> load_tokenizer(const std::filesystem::path& vocabulary, const TextOptions& text);

struct LoadedModel {
  PretrainRecipe recipe;
  std::unique_ptr<Vicha> model;
  std::shared_ptr<const WordPiece> tokenizer;
};
/// The folder itself if it is a checkpoint, or the last checkpoint of a run's folder. Throws DataError if it is
/// neither.
std::filesystem::path checkpoint_folder(const std::filesystem::path& folder);
/// A checkpoint folder of `vicha pretrain` (or a run's folder: its last checkpoint). Throws DataError naming what is
/// missing.
LoadedModel load_trained(const std::filesystem::path& folder, const std::string& device);

/// Text projections that whiten the [CLS] states of captions: mean 0, equal variance in all directions (method: a start
/// for encoders whose states hardly differ). `captions`: any number of token rows; the model's text encoder must be
/// loaded.
void whiten_text_projections(Vicha& model, const Tokens& captions);

}  // namespace vicha
