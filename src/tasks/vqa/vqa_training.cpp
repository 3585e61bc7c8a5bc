#include "tasks/vqa/vqa_training.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "data/pipeline/collate.h"
#include "data/tools/answer_list.h"
#include "tasks/downstream/concept_padding.h"
#include "tasks/downstream/downstream_training.h"
#include "tasks/vqa/vqa.h"
#include "tasks/vqa/vqa_answers.h"

namespace vicha {
namespace {

/// The answers to a batch's questions. Their tokens stay on the host, which packs them.
struct BatchAnswers : BatchTargets {
  GivenAnswers given;
  void for_each_tensor(const TensorVisit&) override {}
};

/// Of every distinct answer of the training set, by its number in the column.
using AnswerTokens = std::vector<std::vector<std::int64_t>>;

AnswerTokens tokens_of_answers(const Manifest& manifest, const WordPiece& tokenizer, std::int64_t max_positions) {
  const auto& column = manifest.column<AnswersColumn>(kAnswersField);
  AnswerTokens tokens(static_cast<std::size_t>(column.answer_count()));
  for (std::int64_t record = 0; record < manifest.size(); ++record) {
    for (const Answer& answer : column[record]) {
      auto& ids = tokens[static_cast<std::size_t>(answer.number)];
      if (ids.empty()) ids = answer_token_ids(tokenizer, answer.text, max_positions, manifest.where(record));
    }
  }
  return tokens;
}

AnswerList list_of(const VqaRecipe& recipe, const Manifest& manifest, const WordPiece& tokenizer) {
  const std::int64_t positions = recipe.model.text.max_positions;
  if (!recipe.vqa.answers.empty()) {
    return {read_answer_list(recipe.vqa.answers), tokenizer, positions, recipe.vqa.answers};
  }
  std::vector<std::string> texts = frequent_answers(count_answers(manifest, kAnswersField), recipe.vqa.min_count);
  if (texts.empty()) {
    throw UsageError(
        fmt::format("vqa.min_count = {}: no answer of the training manifests is given so often", recipe.vqa.min_count));
  }
  return {std::move(texts), tokenizer, positions, "the training manifests"};
}

/// How many of the answers that training learns from a ranking can never give.
void tell_of_missing_answers(const VqaRecipe& recipe, const Manifest& manifest, const AnswerTokens& tokens,
                             const AnswerList& list) {
  const auto& column = manifest.column<AnswersColumn>(kAnswersField);
  std::vector<bool> in_list;
  for (const auto& ids : tokens) in_list.push_back(list.find(ids).has_value());
  std::int64_t given = 0, missing = 0, questions = 0;
  for (std::int64_t record = 0; record < manifest.size(); ++record) {
    bool any = false;
    for (const Answer& answer : column[record]) {
      const bool known = in_list[static_cast<std::size_t>(answer.number)];
      given += answer.count;
      missing += known ? 0 : answer.count;
      any |= known;
    }
    questions += any ? 0 : 1;
  }
  const std::string source = recipe.vqa.answers.empty() ? "the list" : recipe.vqa.answers;
  if (missing == given) {
    throw DataError(source, fmt::format("has none of the {} answers in the training manifests", given),
                    "Give a list made for them: vicha data answers MANIFEST --out answer_list.json");
  }
  const auto distinct = std::ranges::count(in_list, false);
  log::info("{} answers to choose from", list.size());
  if (missing == 0) return;
  log::warning(
      "{} lacks {} of the {} distinct answers in the training manifests: {:.2f} % of those given. They are learnt "
      "from, "
      "but a ranking never chooses them; {} of {} questions have no answer in the list",
      source, distinct, in_list.size(), 100.0 * static_cast<double>(missing) / static_cast<double>(given), questions,
      manifest.size());
}

class VqaTraining : public TaskTraining {
 public:
  explicit VqaTraining(const TrainingSetup& setup)
      : recipe_(dynamic_cast<const VqaRecipe&>(setup.recipe)),
        model_(dynamic_cast<VqaModel&>(setup.model)),
        pad_id_(setup.tokenizer->vocabulary().pad_id()),
        tokens_(std::make_shared<const AnswerTokens>(
            tokens_of_answers(*setup.manifest, *setup.tokenizer, recipe_.model.text.max_positions))),
        list_(list_of(recipe_, *setup.manifest, *setup.tokenizer)),
        padding_(setup),
        set_(load_questions_along(setup, vqa_evaluation_schema(), padding_.of_set())),
        stop_(judge_along(setup, recipe_, [this, &group = setup.group](const std::string& name) {
          return judge_answers(*set_,
                               rank_set(model_.vicha(), model_.net(), list_, set_, recipe_.vqa.answering,
                                        recipe_.eval.questions, name, group),
                               list_);
        })) {
    if (setup.group.is_writer()) tell_of_missing_answers(recipe_, *setup.manifest, *tokens_, list_);
    if (set_ && !has_any_answer(*set_)) {
      throw DataError(recipe_.eval.manifest, "has no answers, so that no checkpoint can be judged by it",
                      "Give eval.manifest records with the field \"answer\"");
    }
  }

  std::vector<TargetMaker> target_makers() override {
    return {[tokens = tokens_, pad_id = pad_id_, vg = static_cast<float>(recipe_.vqa.vg_weight)](
                Batch& batch, const Manifest& manifest, Rng&) {
      const auto& answers = manifest.column<AnswersColumn>(kAnswersField);
      const auto& datasets = manifest.column<TextColumn>(kDatasetField);
      GivenAnswers& given = batch.add<BatchAnswers>().given;
      std::vector<const std::vector<std::int64_t>*> rows;
      for (std::size_t i = 0; i < batch.records.size(); ++i) {
        const std::int64_t record = batch.records[i];
        const bool from_vg = datasets.has(record) && datasets[record] == "vg";
        for (const Answer& answer : answers[record]) {
          rows.push_back(&(*tokens)[static_cast<std::size_t>(answer.number)]);
          given.question.push_back(static_cast<std::int64_t>(i));
          given.weights.push_back(from_vg ? vg : answer.weight);
        }
      }
      given.tokens = collate_tokens(rows, pad_id);
    }};
  }

  Losses step(const Batch& batch, const StepContext& context) override {
    Vicha& vicha = model_.vicha();
    if (context.micro_batch == 0) vicha.update_momentum();
    const double alpha = recipe_.vqa.decoder_alpha == DecoderAlpha::kReleased ? 0.0 : distilled_share(recipe_, context);
    const VqaNet::Step step =
        model_.net().step({batch.image.to(vicha.device()), batch.concepts, batch.text}, batch.get<BatchAnswers>().given,
                          alpha, Dropout(recipe_.model.text.dropout, context.rng));
    const at::Tensor right = step.logits.detach().argmax(1).eq(step.rows.targets).to(at::kFloat).mean();
    if (!step.gain_loss.defined()) return {step.loss, {{"vqa", step.loss}}, {{"tokens_right", right}}};
    return {step.loss + step.gain_loss, {{"vqa", step.loss}, {"likeness", step.gain_loss}}, {{"tokens_right", right}}};
  }

  std::vector<std::pair<std::string, std::string>> checkpoint_files() override {
    std::vector<std::pair<std::string, std::string>> files = padding_.files();
    files.emplace_back(kAnswerListFile, answer_list_json(list_.texts()));
    return files;
  }
  EarlyStop* early_stop() override { return stop_.get(); }

 private:
  static bool has_any_answer(const EvaluationSet& set) {
    const auto& column = set.manifest().column<AnswersColumn>(kAnswersField);
    for (std::int64_t record = 0; record < set.manifest().size(); ++record) {
      if (column.has(record)) return true;
    }
    return false;
  }

  const VqaRecipe& recipe_;
  VqaModel& model_;
  std::int64_t pad_id_;
  std::shared_ptr<const AnswerTokens> tokens_;
  AnswerList list_;
  ConceptPadding padding_;
  std::shared_ptr<const EvaluationSet> set_;
  std::unique_ptr<EarlyStop> stop_;
};

}  // namespace

std::unique_ptr<TaskTraining> begin_vqa_training(const TrainingSetup& setup) {
  return std::make_unique<VqaTraining>(setup);
}

}  // namespace vicha
