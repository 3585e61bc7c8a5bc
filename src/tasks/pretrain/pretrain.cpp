#include "tasks/pretrain/pretrain.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "objectives/draws.h"
#include "objectives/itc.h"
#include "objectives/pretrain_step.h"
#include "objectives/text_cache.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/host/evaluation_record.h"
#include "tasks/host/stored_pictures.h"
#include "tasks/pretrain/pretrain_recipe.h"
#include "tasks/pretrain/teacher.h"
#include "tasks/retrieval/retrieval.h"
#include "train/checkpoint_folder.h"

namespace vicha {
namespace {

/// All ranks evaluate together; the writer finds concepts and writes.
class PeriodicEvaluation {
 public:
  PeriodicEvaluation(const PretrainRecipe& recipe, const TrainingSetup& setup)
      : options_(recipe.eval), model_(setup.model), out_(setup.out), group_(setup.group) {
    if (options_.manifest.empty()) return;
    DataOptions data = recipe.data;
    data.manifests = {options_.manifest};
    const auto load = [&] {
      const auto set = ConceptFinder(setup.kit, "the training set",
                                     {.cache = run_image_cache(setup.out), .tower = {.device = setup.device}})
                           .load(data, setup.tokenizer);
      if (setup.tower) {
        set->set_features(evaluation_features(
            set->manifest(),
            {.data = data, .tower = *setup.tower, .device = setup.device, .cache = run_feature_cache(setup.out)}));
      }
      set_ = set;
    };
    // The writer embeds what has to be embedded; the others find it in the cache.
    if (group_.is_writer()) load();
    group_.barrier();
    if (!group_.is_writer()) load();
  }

  void operator()(std::int64_t step) const {
    if (!set_) return;
    const RetrievalResult r = evaluate_retrieval(
        model_, set_,
        {.k_test = options_.k_test, .ranking = options_.ranking, .batch_size = options_.batch_size, .examples = 0},
        checkpoint_path(out_, step).string());
    record_evaluation(out_, step, options_.manifest, figures_along(r));
    log::info("step {}: {}: text -> image R@1/5/10 {:.1f} {:.1f} {:.1f} (contrast alone {:.1f} {:.1f} {:.1f})", step,
              options_.manifest, r.reranked.image.r1, r.reranked.image.r5, r.reranked.image.r10, r.itc.image.r1,
              r.itc.image.r5, r.itc.image.r10);
  }

 private:
  EvalOptions options_;
  TaskModel& model_;
  fs::path out_;
  const Group& group_;
  std::shared_ptr<const EvaluationSet> set_;
};

class Pretraining : public TaskTraining {
 public:
  explicit Pretraining(const TrainingSetup& setup)
      : recipe_(dynamic_cast<const PretrainRecipe&>(setup.recipe)),
        model_(setup.model.vicha()),
        group_(setup.group),
        step_(recipe_.objectives, setup.model.objectives(), model_),
        evaluate_(recipe_, setup) {
    const auto& teach = recipe_.objectives.get<TeachOptions>();
    if (teach.enabled) {
      const SampleText text(setup.tokenizer, recipe_.data);
      teacher_ = teacher_targets({teach, recipe_.data, setup.manifest, text, setup.out, setup.device, group_});
    }
    if (model_.text_frozen() && recipe_.text_cache_mib > 0)
      cache_ = std::make_unique<TextCache>(recipe_.text_cache_mib << 20);
  }

  Losses step(const Batch& batch, const StepContext& context) override {
    const double progress = static_cast<double>(context.step) / static_cast<double>(context.total_steps);
    const double alpha =
        recipe_.objectives.distillation.at(context.epoch, context.step_in_epoch, context.steps_per_epoch);
    RandomDraws draws(*context.rng);
    if (context.micro_batch == 0) model_.update_momentum();
    const auto run = step_.begin(batch, draws, progress, alpha, cache_.get());
    PretrainStep::Result result = step_.losses(*run);
    pending_ = {};
    if (run->encodings.wants().features) {
      const Encodings::Features& features = run->encodings.momentum().features;
      const bool by_caption = recipe_.objectives.get<ItcOptions>().positives == Positives::kCaption;
      pending_ = {features.image, features.text, by_caption ? batch.caption_ids : batch.image_ids};
    }
    return {result.total, std::move(result.terms), {{"temperature", model_.temperature().detach()}}};
  }

  /// The momentum features of the batch, of all ranks, enter the queue once the loss no longer needs its old content.
  void after_backward() override {
    if (pending_.image_feat.defined()) {
      model_.queue().push(group_.all_gather(pending_.image_feat), group_.all_gather(pending_.text_feat),
                          group_.all_gather(pending_.ids));
    }
    pending_ = {};
  }

  std::vector<TargetMaker> target_makers() override {
    std::vector<TargetMaker> makers;
    for (const auto& make : step_.target_makers()) {
      makers.emplace_back([make](Batch& batch, const Manifest&, Rng& rng) { make(batch, rng); });
    }
    if (teacher_) makers.push_back(teacher_);
    return makers;
  }

  void on_checkpoint(std::int64_t step) override { evaluate_(step); }

 private:
  const PretrainRecipe& recipe_;
  Vicha& model_;
  const Group& group_;
  PretrainStep step_;
  PeriodicEvaluation evaluate_;
  std::unique_ptr<TextCache> cache_;
  TargetMaker teacher_;  ///< empty: nobody teaches
  struct Pending {
    at::Tensor image_feat, text_feat, ids;
  } pending_;
};

}  // namespace

TaskKind pretrain_kind() {
  return {.key = "pretrain",
          .title = "Pretraining",
          .about = "Pretrain a model as a recipe says",
          .recipe = PretrainRecipe(),
          .make_model =
              [](const TaskRecipe& recipe, std::uint64_t seed) {
                const auto& own = dynamic_cast<const PretrainRecipe&>(recipe);
                return std::make_unique<TaskModel>(own.model, own.objectives, seed);
              },
          .begin_training = [](const TrainingSetup& setup) { return std::make_unique<Pretraining>(setup); }};
}

}  // namespace vicha
