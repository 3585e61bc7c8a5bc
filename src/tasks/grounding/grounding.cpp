#include "tasks/grounding/grounding.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "config/serialize.h"
#include "nn/precision.h"
#include "tasks/downstream/answer_calibration.h"
#include "tasks/downstream/downstream_training.h"
#include "tasks/grounding/grounding_model.h"
#include "tasks/grounding/judge_boxes.h"
#include "tasks/host/model_files.h"
#include "tasks/retrieval/objectives_training.h"
#include "train/device.h"

namespace vicha {
namespace {

/// Concepts are padded as the method has it, which the released models' maps depend on; expressions are not.
constexpr EvaluationPadding kGroundingPadding{.text = 0, .concepts = -1};

/// Where it evaluates along the way: the set, its boxes.
struct GroundingSet {
  std::shared_ptr<const EvaluationSet> set;
  std::optional<CandidateBoxes> boxes;

  GroundingSet(std::shared_ptr<const EvaluationSet> loaded, const std::string& file, const DataOptions& data)
      : set(std::move(loaded)) {
    if (set) boxes.emplace(set->manifest(), file, data, /*need_right=*/true);
  }
};

GroundingAnswers answer_all(const GroundingModel& model, const GroundingSet& on, const GroundingMapOptions& options,
                            const QuestionOptions& questions, const std::string& name, const Group& group) {
  GroundingAnswers answers;
  if (model.supervised()) {
    const std::int64_t most = std::max<std::int64_t>(1, on.boxes->most());
    answers.logits_XC = score_questions(
        model.vicha(), on.set, questions, most,
        [&](const QuestionBatch& batch) { return model.judge(batch, *on.set, *on.boxes, most); }, name, group);
    return answers;
  }
  const PatchGrid grid = model.grid_of(options);
  answers.rows = grid.rows;
  answers.columns = grid.columns;
  answers.maps_XN = model.maps(on.set, options, questions, name, group);
  return answers;
}

class GroundingTraining : public TaskTraining {
 public:
  explicit GroundingTraining(const TrainingSetup& setup)
      : recipe_(dynamic_cast<const GroundingRecipe&>(setup.recipe)),
        model_(dynamic_cast<GroundingModel&>(setup.model)),
        on_(load_questions_along(setup, grounding_schema(), kGroundingPadding), recipe_.grounding.maps.boxes,
            recipe_.data),
        stop_(judge_along(setup, recipe_, [this, &group = setup.group](const std::string& name) {
          const GroundingMapOptions& maps = recipe_.grounding.maps;
          return judge_boxes(*on_.set, *on_.boxes, answer_all(model_, on_, maps, recipe_.eval.questions, name, group),
                             maps);
        })) {
    if (recipe_.has_objectives()) {
      objectives_ = std::make_unique<ObjectivesTraining>(setup, recipe_.objectives, ObjectivesTraining::Extras{});
    }
    if (!recipe_.grounding.supervised) return;
    candidates_.emplace(*setup.manifest, recipe_.grounding.maps.boxes, recipe_.data, /*need_right=*/true);
    if (candidates_->unreached() > 0 && setup.group.is_writer()) {
      log::warning("{} of {} expressions have no candidate that is their box: they teach the head nothing",
                   candidates_->unreached(), setup.manifest->size());
    }
  }

  std::vector<TargetMaker> target_makers() override {
    std::vector<TargetMaker> makers;
    if (objectives_) makers = objectives_->target_makers();
    if (candidates_) {
      makers.emplace_back([this](Batch& batch, const Manifest&, Rng&) {
        std::vector<const Candidates*> of;
        for (const std::int64_t record : batch.records) of.push_back(&(*candidates_)[record]);
        batch.add<CandidateTargets>(candidate_targets(of));
      });
    }
    return makers;
  }

  Losses step(const Batch& batch, const StepContext& context) override {
    Losses losses;
    if (objectives_) {
      losses = objectives_->step(batch, context);
    } else if (context.micro_batch == 0) {
      model_.vicha().update_momentum();
    }
    if (!candidates_) return losses;
    const Vicha& vicha = model_.vicha();
    const PairStates pairs = encode_pairs(vicha.online(), batch.image.to(vicha.device()), batch.concepts,
                                          PackedText::packed(batch.text, vicha.device()), FusedRows::kCls,
                                          Dropout(recipe_.model.text.dropout, context.rng));
    std::vector<std::int64_t> image_of(static_cast<std::size_t>(batch.size()));
    std::iota(image_of.begin(), image_of.end(), 0);
    const auto& targets = batch.get<CandidateTargets>();
    const at::Tensor logits = model_.judge(pairs.image, pairs.fused, image_of, targets);
    const at::Tensor right = targets.right_BC.to(logits.device());
    const at::Tensor loss = candidates_loss(logits, right);
    const at::Tensor weighted = loss * recipe_.grounding.weight;
    losses.total = losses.total.defined() ? losses.total + weighted : weighted;
    losses.terms.emplace_back("boxes", loss);
    const at::Tensor chosen = logits.detach().argmax(1, /*keepdim=*/true);
    losses.measures.emplace_back("right", right.gather(1, chosen).to(at::kFloat).mean());
    return losses;
  }

  void after_backward() override {
    if (objectives_) objectives_->after_backward();
  }
  EarlyStop* early_stop() override { return stop_.get(); }

 private:
  const GroundingRecipe& recipe_;
  GroundingModel& model_;
  GroundingSet on_;
  std::unique_ptr<EarlyStop> stop_;
  std::unique_ptr<ObjectivesTraining> objectives_;  ///< null where the head alone learns
  std::optional<CandidateBoxes> candidates_;        ///< of the training set, where it is supervised
};

struct GroundingCommandOptions : QuestionCommandOptions {
  GroundingMapOptions maps;

  void describe(Visitor& v) {
    QuestionCommandOptions::describe(v);
    maps.describe(v);
  }
};

EvaluateResult evaluate_grounding(LoadedModel& loaded, const EvaluateCommand& command) {
  GroundingCommandOptions options;
  apply_overrides(options, loaded.recipe->evaluation_settings());
  apply_overrides(options, command.settings);
  const auto& model = dynamic_cast<const GroundingModel&>(*loaded.parts);
  if (options.calibrate && !model.supervised()) {
    throw UsageError("--calibrate: boxes chosen by maps have no probabilities (grounding.supervised = false)");
  }
  const LoadedQuestions questions = load_questions(loaded, command, grounding_schema(), kGroundingPadding);
  const GroundingSet on(questions.set, options.maps.boxes, loaded.recipe->data);
  const std::string checkpoint = checkpoint_folder(command.checkpoint).string();
  const Bf16Scope scope(use_bf16(command.precision, loaded.vicha().device()));
  const GroundingAnswers answers = answer_all(model, on, options.maps, options.questions, checkpoint, Group::alone());
  Judgement judged = judge_boxes(*on.set, *on.boxes, answers, options.maps);
  if (model.supervised()) {
    const at::Tensor right = right_candidates(*on.set, *on.boxes);
    if (options.calibrate) calibrate(checkpoint, answers.logits_XC, right, command.manifest.string());
    const auto calibration = calibration_of(checkpoint);
    judged.figures["nll"] = negative_log_likelihood(answers.logits_XC, right, temperature_of(calibration));
    judged.figures["calibration"] = json_of(calibration);
  }
  return evaluate_result(judged, command, {checkpoint, questions.concepts});
}

std::vector<EvaluationFlag> grounding_flags() {
  std::vector<EvaluationFlag> flags = question_flags();
  flags.push_back({"--boxes", "boxes", "JSON file of candidate boxes (default: grounding.boxes, or the field boxes)"});
  flags.push_back({"--map", "map", "itm, itc or similarity (default: grounding.map of the recipe)"});
  flags.push_back({"--layer", "layer", "Fusion layer of the map, over all BERT layers from 0 (default: the recipe's)"});
  flags.push_back({"--block", "block", "Block of the image encoder of the map itc (default: the recipe's)"});
  flags.push_back({"--alpha", "alpha", "A box scores its sum over area to this power (default: the recipe's)"});
  flags.push_back({"--metric", "metric", "exact, or released: as the public code counts (default: the recipe's)"});
  return flags;
}

}  // namespace

TaskKind grounding_kind() {
  return {.key = "grounding",
          .title = "Visual grounding",
          .about = "Which box of a picture an expression names (RefCOCO+)",
          .recipe = GroundingRecipe(),
          .schema = [](const TaskRecipe&) { return grounding_schema(); },
          .checkpoint_names = {"ground_head.**"},
          .make_model =
              [](const TaskRecipe& recipe, std::uint64_t seed) {
                return std::make_unique<GroundingModel>(dynamic_cast<const GroundingRecipe&>(recipe), seed);
              },
          .begin_training = [](const TrainingSetup& setup) { return std::make_unique<GroundingTraining>(setup); },
          .evaluate = evaluate_grounding,
          .evaluation_flags = grounding_flags(),
          .figures = {{"accuracy", "Right boxes", "%"},
                      {"chance", "A candidate drawn at random", "%"},
                      {"pointing", "Highest point of the map in the right box", "%"},
                      {"expressions", "Expressions"},
                      {"pictures", "Pictures"},
                      {"ties", "Expressions with several best boxes"},
                      {"without_positive", "Expressions without a positive score"},
                      {"without_candidates", "Expressions without a candidate box"},
                      {"without_right_candidate", "Expressions of whose candidates none is right"},
                      {"boxes_cut", "Candidate boxes that stick out of their picture"}},
          .predict = grounding_predictor,
          .predict_fields = {.images = {"image"}, .text = "text", .explains = true}};
}

}  // namespace vicha
