#include "tasks/host/training.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "config/serialize.h"
#include "data/manifest/identity.h"
#include "nn/kernel_choice.h"
#include "tasks/host/aligned_start.h"
#include "tasks/host/data_record.h"
#include "tasks/host/model_files.h"
#include "tasks/host/stored_pictures.h"
#include "tasks/host/whitening.h"
#include "train/device.h"
#include "train/resume.h"
#include "train/run_lock.h"

namespace vicha {
namespace {

/// A task's training as the loop sees it.
class TrainedTask : public Task {
 public:
  /// `files`: name and content of what every checkpoint keeps beside the weights (vocab.txt, where concepts come from).
  TrainedTask(TaskTraining& training, Vicha& model, const AnyOptions<TaskRecipe>& recipe,
              std::vector<std::pair<std::string, std::string>> files)
      : training_(training),
        model_(model),
        parameters_(model.parameters()),
        recipe_(recipe),
        files_(std::move(files)) {}

  Losses step(const Batch& batch, const StepContext& context) override { return training_.step(batch, context); }
  void after_backward() override { training_.after_backward(); }
  ParameterStore& parameters() override { return parameters_; }
  // All else lies in the parameter store.
  void save_state(StateDict& state) const override {
    if (const EarlyStop* stop = training_.early_stop()) stop->save_state(state);
  }
  void load_state(const StateDict& state) override {
    if (EarlyStop* stop = training_.early_stop()) stop->load_state(state);
  }
  void check_weights(const std::string& file) const override { require_temperature(model_, file); }
  std::string config_json() const override { return to_json(recipe_); }
  std::string default_config_json() const override { return to_json(recipe_.defaults()); }
  std::vector<MovedKey> moved_keys() const override { return vicha::moved_keys(recipe_); }
  std::string recipe_toml() const override { return to_toml(recipe_); }
  std::vector<std::pair<std::string, std::string>> checkpoint_files() const override { return files_; }

 private:
  TaskTraining& training_;
  const Vicha& model_;
  ParameterStore& parameters_;
  const AnyOptions<TaskRecipe>& recipe_;
  std::vector<std::pair<std::string, std::string>> files_;
};

/// The loader as the training loop's source of batches.
class LoaderSource : public BatchSource {
 public:
  explicit LoaderSource(Loader& loader) : loader_(loader) {}
  std::int64_t batches_per_epoch() const override { return loader_.batches_per_epoch(); }
  void seek(std::int64_t epoch, std::int64_t batch) override { loader_.seek(epoch, batch); }
  bool ready(std::chrono::milliseconds patience) override { return loader_.ready(patience); }
  Batch next() override { return loader_.next(); }
  std::int64_t skipped() const override { return loader_.skipped(); }

 private:
  Loader& loader_;
};

/// Of ids that make several pictures of one: contrast that goes by them takes right answers for wrong ones.
void warn_of_ids(const Manifest& manifest) {
  const IdConflicts conflicts = find_id_conflicts(manifest);
  if (conflicts.files == 0) return;
  log::warning("{} pictures have several image_ids (`vicha data check` lists them). The first: {}", conflicts.files,
               conflicts.first_file);
}

/// How the training set's concepts were found. Without it the model can be trained, but not asked about new images.
std::optional<ConceptKit> training_kit(const DataOptions& data) {
  if (!data.concepts.enabled) return std::nullopt;
  std::optional<ConceptKit> kit = common_concept_kit(data.manifests);
  if (!kit) {
    log::warning(
        "{} says how its concepts were found ({}.identity.json, by `vicha concepts build`): the model will not find "
        "those of new pictures by itself",
        data.manifests.size() == 1 ? "nothing" : "no manifest", data.manifests.front());
    return std::nullopt;
  }
  log::info("concepts from {}", kit->provenance.describe());
  return kit;
}

/// Under another vocabulary the same words would be other tokens.
void require_same_vocabulary(const fs::path& checkpoint, const fs::path& vocabulary) {
  const fs::path kept = checkpoint / "vocab.txt";
  if (!fs::exists(kept) || read_file(kept) == read_file(vocabulary)) return;
  throw DataError(vocabulary.string(), fmt::format("is not the vocabulary that {} was trained with", kept.string()),
                  "Restore it (init.vocabulary), or start a new run with --resume none or another --out");
}

LoaderSetup loader_setup(const TrainCommand& command, const Group& group, const at::Device& device,
                         std::vector<TargetMaker> targets) {
  LoaderSetup setup;
  setup.seed = static_cast<std::uint64_t>(command.recipe->training.length.seed);
  setup.pin_memory = device.is_cuda();
  setup.rank = group.rank();
  setup.world = group.size();
  setup.bad_samples =
      command.out / (group.is_writer() ? "bad_samples.jsonl" : fmt::format("bad_samples.rank{}.jsonl", group.rank()));
  setup.targets = std::move(targets);
  return setup;
}

}  // namespace

RunResult train_task(const TrainCommand& given, const Group& group) {
  TrainCommand command = given;
  command.recipe->read_sizes(command.device);
  const TaskRecipe& recipe = *command.recipe;
  const TaskKind* kind = find_task_kind(recipe.task);
  VICHA_ASSERT(kind != nullptr && kind->begin_training);
  std::optional<RunLock> lock;
  if (group.is_writer()) lock.emplace(command.out);
  const auto tokenizer = load_tokenizer(recipe.init.vocabulary, recipe.model.text);
  command.recipe->make_data(command.out, command.device, group);
  const auto manifest = load_manifests(recipe.data, kind->schema ? kind->schema(recipe) : Schema());
  log::info("{} records, {} pictures, {} captions", manifest->size(), manifest->image_count(),
            manifest->caption_count());
  warn_of_ids(*manifest);
  command.recipe->read_records(*manifest);
  const std::optional<fs::path> checkpoint = starting_point(command.resume, command.out);
  const DataMatch match =
      checkpoint ? compare_data(*checkpoint, manifest->digests(), command.allow_changed_data) : DataMatch::kUnknown;
  if (checkpoint) require_same_vocabulary(*checkpoint, recipe.init.vocabulary);
  std::shared_ptr<const PictureFeatures> features;
  std::optional<SourceWeights> tower;
  std::vector<std::pair<std::string, std::string>> files = {{"vocab.txt", read_file(recipe.init.vocabulary)},
                                                            {kDataRecord, data_record(manifest->digests())}};
  if (recipe.model.vit.reads_features()) {
    const auto store = open_feature_store(recipe.data.features);
    tower = store->source();
    const FeatureTower kept{*tower, store->layout().views};
    if (checkpoint) require_same_tower(*checkpoint, kept, recipe.data.features.store);
    // A tower that is another one should be told of now, not when the first picture is to pass it.
    if (!recipe.data.features.tower.empty() && group.is_writer()) {
      open_feature_tower(recipe.data, *tower, recipe.data.features.store, command.device);
    }
    features = training_features(store, *manifest, recipe.data);
    files.emplace_back(kFeatureTowerFile, to_json(kept));
  }

  const at::Device device = choose_device(command.device);
  const std::unique_ptr<TaskModel> model =
      kind->make_model(recipe, static_cast<std::uint64_t>(recipe.training.length.seed));
  Vicha& vicha = model->vicha();
  if (!checkpoint) {
    initialise_model(*model, recipe.init);
    if (recipe.init.text_projection == TextProjection::kWhiten) {
      whiten_text_projections(*model, *manifest, SampleText(tokenizer, recipe.data), command.known_texts);
    }
    if (!recipe.init.heads.empty()) {
      VICHA_ASSERT(features != nullptr);  // ModelOptions::check
      require_same_moments(vicha, recipe.init.heads, *manifest, SampleText(tokenizer, recipe.data), *features);
    }
  }
  for (const std::string& part : recipe.freeze) vicha.freeze(part);
  for (const char* scope : {"fusion", "fusion_heads"}) vicha.parameters().set_lr_scale(scope, recipe.fusion_lr_scale);
  vicha.parameters().decay_layers(recipe.layer_decay);
  model->objectives().set_begins(vicha.parameters());
  if (model->trains_fusion()) vicha.parameters().set_begin("fusion", 0.0);
  vicha.to(device);
  const std::optional<ConceptKit> kit = training_kit(recipe.data);
  if (kit) std::ranges::move(concept_kit_files(*kit), std::back_inserter(files));
  const std::unique_ptr<TaskTraining> training =
      kind->begin_training({recipe, *model, manifest, tokenizer, kit, tower, command.out, command.device, group,
                            checkpoint, command.known_texts});
  std::ranges::move(training->checkpoint_files(), std::back_inserter(files));
  TrainedTask task(*training, vicha, command.recipe, std::move(files));
  if (device.is_cpu()) log::info("{}", kernel_choice().describe());
  LoaderSetup setup = loader_setup(command, group, device, training->target_makers());
  setup.features = features;
  setup.shown = training->reads_shown_parts();
  Loader loader(manifest, tokenizer, recipe.data, setup);
  LoaderSource source(loader);

  RunSetup run{.out = command.out, .resume = command.resume, .device = command.device, .group = group};
  // Neither where files lie nor who reads them changes a run.
  for (const char* key :
       {"data.workers", "data.prefetch", "data.cache_mib", "data.image_root", "data.features.", "text_cache_mib",
        "init.", "eval.", "teach.source", "teach.pictures", "teach.captions", "teach.trust_names", "data.regions.store",
        "data.regions.source", "data.regions.vocabulary"}) {
    run.may_change.emplace_back(key);
  }
  // Where what a manifest says has been compared, its name makes no difference.
  if (match != DataMatch::kUnknown) run.may_change.emplace_back("data.manifests.");
  run.may_change_data = match == DataMatch::kChanged || command.allow_changed_data;
  if (run.may_change_data) {
    for (const char* key : {"data.manifests.", "data.strip_parts"}) run.may_change.emplace_back(key);
  }
  run.validation = training->early_stop();
  run.on_checkpoint = [&](const fs::path&, std::int64_t step) { training->on_checkpoint(step); };
  return run_training(task, source, recipe.training, run);
}

}  // namespace vicha
