#include "tasks/vqa/vqa_recipe.h"

#include <fmt/format.h>

#include "base/error.h"

namespace vicha {

void AnsweringOptions::describe(Visitor& v) {
  v.field({"k_test", "answers", "Answers of the list that are read to their end: those whose first token is likeliest",
           1, 1e6},
          k_test);
  v.choice({.key = "rank",
            .meaning = "By what answers are ranked: exact, their probability; released, the first token counted twice, "
                       "as the public code does"},
           rank, kAnswerRankNames);
  v.field({"beams", "", "Generated answers: beginnings that the search keeps; 1: greedy", 1, 1000}, beams);
  v.field({"max_tokens", "tokens", "Generated answers: the longest", 1, 1000}, max_tokens);
}

void VqaOptions::describe(Visitor& v) {
  v.field({"answers", "",
           "List of answers to choose from, a JSON list of strings (vicha data answers); empty: those of the training "
           "manifests. Checkpoints keep it"},
          answers);
  v.field({"min_count", "", "Without a list: answers count that the training manifests give so often", 1, 1e9},
          min_count);
  v.field({"vg_weight", "", "Weight of answers of records with dataset \"vg\" (Visual Genome)", 0, 1}, vg_weight);
  v.choice(
      {.key = "decoder_alpha",
       .meaning = "Whether soft targets reach the decoder: exact, as [distillation] says; released, never, as in the "
                  "public code"},
      decoder_alpha, kDecoderAlphaNames);
  v.field({"similarity", "",
           "Rank answers also by how like their text is to the patches that the question looks at (needs "
           "model.fusion.similarity)"},
          similarity);
  answering.describe(v);
}

void VqaRecipe::describe(Visitor& v) {
  describe_head(v);
  v.section("vqa", "Answers to questions", vqa);
  describe_tail(v);
}

void VqaRecipe::finish() {
  if (vqa.similarity && !model.fusion.similarity) {
    throw UsageError(
        "vqa.similarity = true compares answers with patches by the maps of words and patches, and the model has none "
        "(model.fusion.similarity = false); switch both on, or neither");
  }
  DownstreamRecipe::finish();
}

std::vector<std::pair<std::string, std::string>> VqaRecipe::facts() const {
  auto facts = DownstreamRecipe::facts();
  facts.emplace_back("Answers",
                     vqa.answers.empty() ? "those of the training manifests" : fmt::format("list {}", vqa.answers));
  if (vqa.similarity) facts.emplace_back("Ranked by", "likelihood, and likeness to the patches looked at");
  return facts;
}

TextRule question_rule(bool training) {
  return {.field = kQuestionField, .cleaning = TextCleaning::kQuestion, .max_words = training ? 30 : 50};
}

Schema vqa_training_schema() {
  return {.caption = false,
          .columns = {{.field = kQuestionField, .type = ColumnType::kText},
                      {.field = kAnswersField, .type = ColumnType::kAnswers},
                      {.field = kDatasetField, .type = ColumnType::kText, .required = false}},
          .text = question_rule(true)};
}

Schema vqa_evaluation_schema() {
  const auto may = [](const char* field, ColumnType type) {
    return ColumnSpec{.field = field, .type = type, .required = false};
  };
  return {.caption = false,
          .columns = {{.field = kQuestionField, .type = ColumnType::kText},
                      may(kAnswersField, ColumnType::kAnswers),
                      may(kQuestionIdField, ColumnType::kId),
                      may(kQuestionTypeField, ColumnType::kText),
                      may(kAnswerTypeField, ColumnType::kText)},
          .text = question_rule(false)};
}

}  // namespace vicha
