#include "tasks/align/aligned_model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/read_folder.h"
#include "checkpoint/safetensors/safetensors.h"
#include "models/weights_hash.h"
#include "tasks/host/model_files.h"
#include "tasks/host/model_identity.h"
#include "tasks/host/recipe_files.h"
#include "tasks/host/tower_spec.h"
#include "train/checkpoint_folder.h"
#include "train/device.h"

namespace vicha {
namespace {

AnyOptions<TaskRecipe> aligned_recipe(const fs::path& checkpoint) {
  AnyOptions<TaskRecipe> recipe = load_task_recipe(checkpoint / "recipe.toml");
  if (recipe->task != "align") {
    throw DataError(checkpoint.string(), fmt::format("is a model of the task '{}', not heads on towers", recipe->task),
                    "A ViCHA that was trained without concepts is given as vicha:CHECKPOINT");
  }
  return recipe;
}

/// Where to look for a tower: where the user says, else as the recipe has it, else where that was when the run began.
std::string tower_spec(const std::string& given, const std::string& recipe, const std::string& kept) {
  if (!given.empty()) return given;
  std::error_code none;
  return !recipe.empty() && fs::exists(path_of_tower_spec(recipe), none) ? recipe : kept;
}

struct TowerLookup {
  const AlignedModel& model;
  const char *items, *flag;  ///< "pictures", "--image-tower"
  const std::string& spec;
  const SourceWeights& wanted;

  template <class Open>
  auto open(const Open& how) const {
    const std::string where = fmt::format("the tower of {} of {}", items, model.checkpoint().string());
    if (spec.empty()) {
      throw DataError(where,
                      fmt::format("is not known: the model was trained on stored features of {}", wanted.describe()),
                      fmt::format("Say where that tower is: {} SPEC", flag));
    }
    decltype(how()) encoder;
    try {
      encoder = how();
    } catch (const Error& error) {
      throw DataError(where,
                      fmt::format("cannot be opened: {}. The model was trained on {}", error.what(), wanted.describe()),
                      fmt::format("Say where it is now: {} SPEC", flag));
    }
    if (!encoder->weights().same(wanted)) {
      throw DataError(spec,
                      fmt::format("is {}, and the model {} was trained on {}", encoder->weights().describe(),
                                  model.checkpoint().string(), wanted.describe()),
                      fmt::format("Put the old tower back, or say where it is now: {} SPEC", flag));
    }
    return encoder;
  }
};

}  // namespace

fs::path aligned_checkpoint(const fs::path& folder) { return checkpoint_folder(folder); }

AlignedModel::AlignedModel(const fs::path& folder, AlignedModelOptions options)
    : checkpoint_(aligned_checkpoint(folder)), options_(std::move(options)), recipe_(aligned_recipe(checkpoint_)) {
  note_input_folder(checkpoint_);
  choose_device(options_.device);  // a wrong name is the user's error, said before the towers are read
  towers_ = read_tower_record(checkpoint_);
  if (towers_.image.width < 1 || towers_.text.width < 1) {
    throw DataError((checkpoint_ / kTowerRecord).string(), "names towers without a width",
                    "The checkpoint is damaged; use another one");
  }
  heads_ = std::make_unique<AlignModel>(recipe().align, FeatureWidths{towers_.image.width, towers_.text.width}, 0);
  load_model(checkpoint_ / "model.safetensors", heads_->parameters());
  const AlignOptions& align = recipe().align;
  // The moments are no parameters; whatever else decides on an embedding is.
  sha256_ = weights_sha256(
      heads_->parameters(),
      fmt::format("aligned, moments {} {}, mean heads {}", align.standardise ? towers_.image.moments : "none",
                  align.standardise ? towers_.text.moments : "none", align.ema > 0));
  name_ = checkpoint_name(checkpoint_);
  scale_ = heads_->scale().item<double>();
}

const PictureEncoder& AlignedModel::pictures() const {
  const std::lock_guard lock(opening_);
  if (!pictures_) {
    const std::string spec = tower_spec(options_.image_tower, recipe().features.image_tower, towers_.image.spec);
    pictures_ = TowerLookup{*this, "pictures", "--image-tower", spec, towers_.image.weights}.open(
        [&] { return PictureEncoder::open(spec, options_.device, recipe().data.decode_options()); });
  }
  return *pictures_;
}

const TextEncoder& AlignedModel::texts() const {
  const std::lock_guard lock(opening_);
  if (!texts_) {
    const std::string spec = tower_spec(options_.text_tower, recipe().features.text_tower, towers_.text.spec);
    texts_ = TowerLookup{*this, "texts", "--text-tower", spec, towers_.text.weights}.open(
        [&] { return TextEncoder::open(spec, options_.device, recipe().features.text_vocabulary); });
  }
  return *texts_;
}

}  // namespace vicha
