// A task is a plug-in: a folder with its recipe, training step, evaluation and prediction, and one line in
// tasks/registry.cpp. docs/adding.md walks through one.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/kit/concept_kit.h"
#include "data/pipeline/loader.h"
#include "distributed/group.h"
#include "tasks/host/concept_options.h"
#include "tasks/host/known_texts.h"
#include "tasks/host/task_model.h"
#include "tasks/host/task_recipe.h"
#include "text/wordpiece/wordpiece.h"
#include "train/early_stop.h"
#include "train/task.h"

namespace vicha {

/// What stands when training begins; all of it outlives the training.
struct TrainingSetup {
  const TaskRecipe& recipe;
  TaskModel& model;
  std::shared_ptr<const Manifest> manifest;
  std::shared_ptr<const WordPiece> tokenizer;
  const std::optional<ConceptKit>& kit;       ///< how the training set's concepts were found, if anything says so
  const std::optional<SourceWeights>& tower;  ///< whose features of pictures the model reads, if it does
  std::filesystem::path out;
  std::string device;
  const Group& group;
  std::optional<std::filesystem::path> checkpoint = {};  ///< that the run goes on from
  KnownTexts* known_texts = nullptr;                     ///< TrainCommand::known_texts
};

/// A task while it is trained.
class TaskTraining {
 public:
  virtual ~TaskTraining() = default;
  /// Forward pass of one (micro-)batch; the loop differentiates `total`.
  virtual Losses step(const Batch& batch, const StepContext& context) = 0;
  /// After each backward pass, before the optimiser.
  virtual void after_backward() {}
  /// What batches need beside their core, made where they are made.
  virtual std::vector<TargetMaker> target_makers() { return {}; }
  /// Whether they read ShownParts of a batch.
  virtual bool reads_shown_parts() const { return false; }
  /// A checkpoint of step `step` has been written: the place for an evaluation along the way.
  virtual void on_checkpoint(std::int64_t /*step*/) {}
  /// Name and content of files of the task's own that every checkpoint keeps, so that it stands alone.
  virtual std::vector<std::pair<std::string, std::string>> checkpoint_files() { return {}; }
  /// Judges each checkpoint before it is written, so that the best is kept, and may end the run; null: nobody does. Its
  /// state is part of checkpoints.
  virtual EarlyStop* early_stop() { return nullptr; }
};

/// A model read back from a checkpoint.
struct LoadedModel {
  AnyOptions<TaskRecipe> recipe;
  std::unique_ptr<TaskModel> parts;
  std::shared_ptr<const WordPiece> tokenizer;
  /// Whose features of pictures the model reads; nothing where it reads pixels.
  std::optional<SourceWeights> tower = {};

  Vicha& vicha() const { return parts->vicha(); }
};

/// What `vicha predict TASK CHECKPOINT` is told.
struct PredictCommand {
  std::filesystem::path checkpoint;
  std::string device = "auto";
  ConceptFinderOptions concepts = {};
};
/// One JSON object of input: images by path, texts.
struct PredictRequest {
  std::string input;
  std::filesystem::path explain = {};  ///< PNG to draw the reasons of the answer into; empty: none wanted
};
/// The answer, as one JSON object. Throws DataError or UsageError.
using Predictor = std::function<std::string(const PredictRequest& request)>;
/// What objects of input hold, which the command line then has options for: --image for each picture, --text.
struct PredictFields {
  std::vector<std::string> images = {};  ///< fields of the pictures
  std::string text = {};                 ///< field of the text
  bool explains = false;                 ///< whether predictors draw the reasons of their answers
};

/// What `vicha eval TASK CHECKPOINT MANIFEST` is told.
struct EvaluateCommand {
  std::filesystem::path checkpoint, manifest;
  std::string image_root;  ///< empty: the manifest's folder
  std::string device = "auto";
  std::string tower = {};  ///< where the tower is now whose features the model reads; empty: where it was in training
  Precision precision = Precision::kFp32;
  ConceptFinderOptions concepts = {};
  std::vector<std::string> settings = {};  ///< key=value, of the task's own options

  /// How the set is read: as the model's recipe reads its own, from where this says.
  DataOptions data(DataOptions trained) const {
    trained.manifests = {manifest.string()};
    trained.image_root = image_root;
    if (image_root.empty()) trained.strip_parts = 0;
    return trained;
  }
};
struct EvaluateResult {
  std::string json;   ///< an object with the figures: what goes to --out
  std::string table;  ///< what is printed
};

/// An option of a task's evaluation that has a flag on the command line: `--k-test N` sets "k_test=N".
struct EvaluationFlag {
  std::string flag, key, help;
  bool is_switch = false;  ///< takes no value: --calibrate sets "calibrate=true"
};

/// A number of an evaluation, as reports call it: the figure at `key` of the JSON ("accuracy", "recall.r1").
struct Figure {
  std::string key, title;
  std::string measure = "";  ///< "%", "pixels"; "" for a count
};

/// How a kind of task is known: to recipes, checkpoints, the command line and reports. What a task does not offer is
/// left empty.
struct TaskKind {
  std::string key;                                    ///< "pretrain"
  std::string title;                                  ///< "Pretraining", as reports and help call it
  std::string about;                                  ///< one line of help
  std::optional<AnyOptions<TaskRecipe>> recipe = {};  ///< the defaults; a kind without one is not trained
  /// What records have beside their picture; a kind without it reads captions. The recipe is of the kind's type.
  std::function<Schema(const TaskRecipe& recipe)> schema = {};
  /// Patterns of the heads' names in checkpoints, as ObjectiveKind::checkpoint_names: a model of another task may start
  /// from a file with them.
  std::vector<std::string> checkpoint_names = {};
  /// The model of a finished recipe. The recipe is of the kind's type.
  std::function<std::unique_ptr<TaskModel>(const TaskRecipe& recipe, std::uint64_t seed)> make_model = {};
  std::function<std::unique_ptr<TaskTraining>(const TrainingSetup& setup)> begin_training = {};
  /// Throws DataError or UsageError naming the manifest, the record and the remedy.
  std::function<EvaluateResult(LoadedModel& model, const EvaluateCommand& command)> evaluate = {};
  /// Of kinds whose models are no Vicha (`make_model` is empty): how one of theirs is evaluated as the kind `asked`,
  /// instead of that one's `evaluate`. Throws DataError if it cannot be.
  std::function<EvaluateResult(const TaskKind& asked, const EvaluateCommand& command)> evaluate_as = {};
  std::vector<EvaluationFlag> evaluation_flags = {};
  /// The figures that a report should call by name; it shows all others too, as they are called in the JSON.
  std::vector<Figure> figures = {};
  /// The model stays; what is opened once (a source of concepts) is kept by the predictor.
  std::function<Predictor(LoadedModel& model, const PredictCommand& command)> predict = {};
  PredictFields predict_fields = {};
  /// Evaluation and prediction take models of other tasks too; otherwise their recipe is of the kind's type.
  bool any_model = false;

  /// Whether a model of that task is evaluated as this kind.
  bool evaluates(std::string_view task) const { return any_model || task == key; }
};

/// The built-in kinds, then those that the program has added.
const std::vector<TaskKind>& task_kinds();
/// As add_objective_kind.
void add_task_kind(TaskKind kind);
/// nullptr where there is none of that key.
const TaskKind* find_task_kind(std::string_view key);

}  // namespace vicha
