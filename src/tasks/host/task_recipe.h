// What the recipes of all tasks have in common: the model, where it starts, its data, how it is trained.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "config/any_options.h"
#include "data/pipeline/data_options.h"
#include "distributed/group.h"
#include "models/model_options.h"
#include "train/train_options.h"

namespace vicha {

/// Where the text projections start: at random, or whitening the training captions' states.
enum class TextProjection { kDefault, kWhiten };

struct InitOptions {
  std::string checkpoint, vit, text, heads, vocabulary;
  TextProjection text_projection = TextProjection::kDefault;

  void describe(Visitor& v);
};

/// A task's recipe derives from this and has a `describe` that calls describe_model and describe_training. Recipes are
/// held and copied as AnyOptions<TaskRecipe>.
class TaskRecipe {
 public:
  std::string task;  ///< TaskKind::key
  ModelOptions model;
  InitOptions init;
  DataOptions data;
  TrainOptions training;
  std::vector<std::string> freeze;
  double fusion_lr_scale = 1.0, layer_decay = 1.0;
  std::int64_t text_cache_mib = 512;

  explicit TaskRecipe(std::string task_key) : task(std::move(task_key)) {}
  virtual ~TaskRecipe() = default;

  /// Makes the parts fit each other (image size, concepts, …) and checks them. Throws UsageError naming the keys.
  virtual void finish();
  /// Fills in, at the start of a training, what files say that the recipe names (the size of stored features), and
  /// finishes it again. Throws DataError or UsageError naming both where recipe and file do not agree.
  virtual void read_sizes(const std::string& device);
  /// Makes what the recipe's data lack, into the folder of the run, before they are read at the start of a training,
  /// and names it in the recipe. One rank makes it, all call. Throws DataError or UsageError.
  virtual void make_data(const std::filesystem::path& /*out*/, const std::string& /*device*/, const Group&) {}
  /// Fills in what the records of the training set say (the number of tags). Throws DataError naming both where recipe
  /// and records do not agree.
  virtual void read_records(const Manifest&) {}
  /// What a report says of the recipe beyond what all recipes have: (name, value).
  virtual std::vector<std::pair<std::string, std::string>> facts() const { return {}; }
  /// What evaluations of the model take where the command line says nothing: key=value of the evaluating task's
  /// options.
  virtual std::vector<std::string> evaluation_settings() const { return {}; }
  /// Set that the run is evaluated on along the way; "" where there is none.
  virtual std::string evaluation_manifest() const { return ""; }

 protected:
  TaskRecipe(const TaskRecipe&) = default;
  TaskRecipe& operator=(const TaskRecipe&) = default;

  /// The task's key, what learns, and the section of the model.
  void describe_model(Visitor& v);
  /// Where the weights start, the data, and the training loop.
  void describe_training(Visitor& v);
};

}  // namespace vicha
