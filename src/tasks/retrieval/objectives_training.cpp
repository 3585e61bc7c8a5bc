#include "tasks/retrieval/objectives_training.h"

#include <fmt/format.h>

#include "objectives/draws.h"
#include "objectives/itc.h"
#include "objectives/registry.h"

namespace vicha {

std::pair<std::string, std::string> objectives_fact(const ObjectivesOptions& objectives) {
  std::string text;
  for (const ObjectiveKind& kind : objective_kinds()) {
    const ObjectiveOptions& o = objectives.at(kind.key);
    if (!o.enabled) continue;
    if (!text.empty()) text += ", ";
    text += kind.name;
    if (const std::string note = o.note(); !note.empty()) text += fmt::format(" ({})", note);
    if (o.weight != 1.0) text += fmt::format(" × {:g}", o.weight);
    if (o.start > 0) text += fmt::format(" from {:.3g} %", o.start * 100);
  }
  return {"Objectives (and when they set in)", text.empty() ? "none" : text};
}

namespace {

/// Of the runs before too, where their states are known to be this run's: a run that goes on takes kernel and precision
/// from its checkpoint later, and one that measures which precision is faster does so when it begins.
std::shared_ptr<TextCache> text_cache(const TrainingSetup& setup) {
  const std::int64_t budget = setup.recipe.text_cache_mib << 20;
  const Precision precision = setup.recipe.training.length.precision;
  if (setup.known_texts == nullptr || setup.checkpoint || precision == Precision::kAuto) {
    return std::make_shared<TextCache>(budget);
  }
  const Vicha& vicha = setup.model.vicha();
  return setup.known_texts->states(fmt::format("{} {} {} {}", text_encoder_digest(vicha),
                                               name_of(kPrecisionNames, precision), vicha.device().str(), budget),
                                   budget);
}

}  // namespace

ObjectivesTraining::ObjectivesTraining(const TrainingSetup& setup, const ObjectivesOptions& objectives, Extras extras)
    : objectives_(objectives),
      model_(setup.model.vicha()),
      group_(setup.group),
      step_(objectives, setup.model.objectives(), model_),
      extras_(std::move(extras)) {
  if (model_.text_frozen() && setup.recipe.text_cache_mib > 0) cache_ = text_cache(setup);
}

Losses ObjectivesTraining::step(const Batch& batch, const StepContext& context) {
  const double progress = static_cast<double>(context.step) / static_cast<double>(context.total_steps);
  const double alpha = objectives_.distillation.at(context.epoch, context.step_in_epoch, context.steps_per_epoch);
  RandomDraws draws(*context.rng);
  if (context.micro_batch == 0) model_.update_momentum();
  const auto run = step_.begin(batch, draws, progress, alpha, cache_.get());
  PretrainStep::Result result = step_.losses(*run);
  pending_ = {};
  if (run->encodings.wants().features) {
    const Encodings::Features& features = run->encodings.momentum().features;
    const bool by_caption = objectives_.get<ItcOptions>().positives == Positives::kCaption;
    pending_ = {features.image, features.text, by_caption ? batch.caption_ids : batch.image_ids};
  }
  return {result.total, std::move(result.terms), {{"temperature", model_.temperature().detach()}}};
}

void ObjectivesTraining::after_backward() {
  if (pending_.image_feat.defined()) {
    model_.queue().push(group_.all_gather(pending_.image_feat), group_.all_gather(pending_.text_feat),
                        group_.all_gather(pending_.ids));
  }
  pending_ = {};
}

std::vector<TargetMaker> ObjectivesTraining::target_makers() {
  std::vector<TargetMaker> makers;
  for (const auto& make : step_.target_makers()) {
    makers.emplace_back([make](Batch& batch, const Manifest&, Rng& rng) { make(batch, rng); });
  }
  makers.insert(makers.end(), extras_.makers.begin(), extras_.makers.end());
  return makers;
}

void ObjectivesTraining::on_checkpoint(std::int64_t step) {
  if (extras_.on_checkpoint) extras_.on_checkpoint(step);
}

}  // namespace vicha
