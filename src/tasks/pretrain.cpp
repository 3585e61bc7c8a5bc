#include "tasks/pretrain.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "concepts/kit/concept_kit.h"
#include "config/serialize.h"
#include "data/pipeline/loader.h"
#include "models/draws.h"
#include "models/masking.h"
#include "nn/kernel_choice.h"
#include "tasks/concept_finder.h"
#include "tasks/model_files.h"
#include "tasks/retrieval.h"
#include "train/checkpoint_folder.h"
#include "train/device.h"

namespace vicha {

PretrainTask::PretrainTask(Vicha& model, const PretrainRecipe& recipe,
                           std::vector<std::pair<std::string, std::string>> files)
    : model_(model), recipe_(recipe), files_(std::move(files)), step_(recipe.objectives) {
  if (model.text_frozen() && recipe.text_cache_mib > 0)
    cache_ = std::make_unique<TextCache>(recipe.text_cache_mib << 20);
}

Losses PretrainTask::step(const Batch& batch, const StepContext& context) {
  const double progress = static_cast<double>(context.step) / static_cast<double>(context.total_steps);
  const double alpha =
      recipe_.objectives.distillation.at(context.epoch, context.step_in_epoch, context.steps_per_epoch);
  RandomDraws draws(*context.rng);
  if (context.micro_batch == 0) model_.update_momentum();
  Encodings encodings = step_.encodings(model_, batch, draws, progress, alpha, cache_.get());
  PretrainStep::Result result = step_.losses(encodings, progress, alpha);
  pending_ = {};
  if (encodings.wants().features) {
    const Encodings::Features& features = encodings.momentum().features;
    pending_ = {features.image, features.text,
                step_.options().itc.kind() == Positives::kCaption ? batch.caption_ids : batch.image_ids};
  }
  return {result.total, std::move(result.terms), {{"temperature", model_.temperature.detach()}}};
}

void PretrainTask::after_backward() {
  if (pending_.image_feat.defined()) model_.queue.push(pending_.image_feat, pending_.text_feat, pending_.ids);
  pending_ = {};
}

std::string PretrainTask::config_json() const { return to_json(recipe_); }
std::string PretrainTask::recipe_toml() const { return to_toml(recipe_); }

namespace {

/// The loader as the training loop's source of batches.
class LoaderSource : public BatchSource {
 public:
  explicit LoaderSource(Loader& loader) : loader_(loader) {}
  std::int64_t batches_per_epoch() const override { return loader_.batches_per_epoch(); }
  void seek(std::int64_t epoch, std::int64_t batch) override { loader_.seek(epoch, batch); }
  Batch next() override { return loader_.next(); }
  std::int64_t skipped() const override { return loader_.skipped(); }

 private:
  Loader& loader_;
};

/// Distinct captions of the training set, the first 20,000.
Tokens distinct_captions(const Manifest& manifest, const SampleText& text) {
  constexpr std::size_t kMost = 20000;
  std::unordered_map<std::string, bool> seen;
  std::vector<std::vector<std::int64_t>> rows;
  for (std::int64_t i = 0; i < manifest.size() && rows.size() < kMost; ++i) {
    for (const std::string_view caption : manifest.captions(i)) {
      std::string cleaned = text.clean(caption);
      if (!seen.emplace(cleaned, true).second) continue;
      rows.push_back(text.encode(cleaned));
      if (rows.size() == kMost) break;
    }
  }
  const TokenBatch padded = pad_batch(rows, text.pad_id());
  Tokens tokens{at::tensor(padded.ids, at::kLong).view({padded.rows, padded.length}), {}};
  for (const auto& row : rows) tokens.lengths.push_back(static_cast<std::int64_t>(row.size()));
  return tokens;
}

bool starts_fresh(const PretrainCommand& command) {
  if (command.resume.kind == ResumeChoice::Kind::kNone) return true;
  return command.resume.kind == ResumeChoice::Kind::kAuto && list_checkpoints(command.out).empty();
}

/// OUT/evaluations.jsonl: one line an evaluated checkpoint, in the order of the steps; lines of later steps (from
/// before a run was taken up again at an earlier checkpoint) give way.
void record_evaluation(const fs::path& file, std::int64_t step, const std::string& manifest,
                       const RetrievalResult& result) {
  std::string lines;
  if (fs::exists(file)) {
    std::istringstream old(read_file(file));
    for (std::string line; std::getline(old, line);) {
      const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
      if (!json.is_discarded() && json.value("step", step) < step) lines += line + "\n";
    }
  }
  nlohmann::ordered_json json = {{"step", step}, {"manifest", manifest}};
  const auto whole = nlohmann::ordered_json::parse(result.to_json());
  for (const char* key : {"text_to_image", "image_to_text", "itc", "ranking", "k_test", "images", "captions"})
    json[key] = whole.at(key);
  write_file_atomic(file, lines + json.dump() + "\n");
}

class PeriodicEvaluation {
 public:
  PeriodicEvaluation(const PretrainRecipe& recipe, Vicha& model, std::shared_ptr<const WordPiece> tokenizer,
                     const std::optional<ConceptKit>& kit, const PretrainCommand& command)
      : recipe_(recipe), model_(model), out_(command.out) {
    if (recipe.eval.manifest.empty()) return;
    DataOptions data = recipe.data;
    data.manifests = {recipe.eval.manifest};
    const ConceptChoice choice{
        .source = {}, .cache = run_picture_cache(command.out), .options = {.device = command.device}};
    set_ = EvaluationConcepts(kit, "the training set", data, choice).load(std::move(tokenizer));
  }

  void operator()(std::int64_t step) const {
    if (!set_) return;
    const RetrievalResult r = evaluate_retrieval(model_, set_,
                                                 {.k_test = recipe_.eval.k_test,
                                                  .ranking = recipe_.eval.ranking,
                                                  .batch_size = recipe_.eval.batch_size,
                                                  .examples = 0});
    record_evaluation(out_ / "evaluations.jsonl", step, recipe_.eval.manifest, r);
    log::info("step {}: {}: text -> image R@1/5/10 {:.1f} {:.1f} {:.1f} (contrast alone {:.1f} {:.1f} {:.1f})", step,
              recipe_.eval.manifest, r.reranked.image.r1, r.reranked.image.r5, r.reranked.image.r10, r.itc.image.r1,
              r.itc.image.r5, r.itc.image.r10);
  }

 private:
  const PretrainRecipe& recipe_;
  Vicha& model_;
  fs::path out_;
  std::shared_ptr<const EvaluationSet> set_;
};

/// How the training set's concepts were found. Without it the model can be trained, but not asked about new pictures.
std::optional<ConceptKit> training_kit(const DataOptions& data) {
  if (!data.concepts.enabled) return std::nullopt;
  std::optional<ConceptKit> kit = common_concept_kit(data.manifests);
  if (!kit) {
    log::warning(
        "{} says how its concepts were found ({}.identity.json, by `vicha concepts build`): the model will not find "
        "those "
        "of new pictures by itself",
        data.manifests.size() == 1 ? "nothing" : "no manifest", data.manifests.front());
    return std::nullopt;
  }
  log::info("concepts from {}", kit->origin.identity.describe());
  return kit;
}

}  // namespace

RunResult pretrain(const PretrainCommand& command) {
  const PretrainRecipe& recipe = command.recipe;
  const auto tokenizer = load_tokenizer(recipe.init.vocabulary, recipe.model.text);
  const auto manifest = load_manifests(recipe.data);
  log::info("{} records, {} pictures, {} captions", manifest->size(), manifest->image_count(),
            manifest->caption_count());
  fs::create_directories(command.out);

  const at::Device device = choose_device(command.device);
  Vicha model(recipe.model, static_cast<std::uint64_t>(recipe.training.length.seed));
  if (starts_fresh(command)) {
    initialise_model(model, recipe);
    if (recipe.init.text_projection == "whiten") {
      whiten_text_projections(model, distinct_captions(*manifest, SampleText(tokenizer, recipe.data)));
    }
  }
  for (const std::string& part : recipe.freeze) model.freeze(part);
  model.set_fusion_lr_scale(recipe.fusion_lr_scale);
  model.set_starts(recipe.objectives.starts());
  model.to(device);
  const std::optional<ConceptKit> kit = training_kit(recipe.data);
  std::vector<std::pair<std::string, std::string>> files = {{"vocab.txt", read_file(recipe.init.vocabulary)}};
  if (kit) std::ranges::move(concept_kit_files(*kit), std::back_inserter(files));
  PretrainTask task(model, recipe, std::move(files));
  if (device.is_cpu()) log::info("{}", kernel_choice().describe());

  LoaderSetup setup;
  setup.seed = static_cast<std::uint64_t>(recipe.training.length.seed);
  setup.pin_memory = device.is_cuda();
  setup.bad_samples = command.out / "bad_samples.jsonl";
  if (recipe.objectives.mlm.enabled) {
    const TextOptions& text = recipe.model.text;
    setup.targets.emplace_back(
        [masking = MaskingOptions{recipe.objectives.mlm.probability, text.pad_id, text.cls_id, text.mask_id,
                                  text.vocabulary}](Batch& batch, const Manifest&, Rng& rng) {
          batch.add(mask_words(batch.text, masking, rng));
        });
  }
  Loader loader(manifest, tokenizer, recipe.data, setup);
  LoaderSource source(loader);
  const PeriodicEvaluation evaluate(recipe, model, tokenizer, kit, command);

  RunSetup run;
  run.out = command.out;
  run.resume = command.resume;
  run.device = command.device;
  // Neither where files lie nor who reads them changes a run.
  for (const char* key :
       {"data.workers", "data.prefetch", "data.cache_mib", "data.image_root", "text_cache_mib", "init.", "eval."}) {
    run.may_change.emplace_back(key);
  }
  run.on_checkpoint = [&](const fs::path&, std::int64_t step) { evaluate(step); };
  return run_training(task, source, recipe.training, run);
}

}  // namespace vicha
