// The recipe of visual question answering, and the records that it reads: {"question_id", "image", "question",
// "answer": [ten strings] or one string, "dataset", "question_type", "answer_type"}; training needs picture, question
// and answer.
#pragma once

#include "data/manifest/schema.h"
#include "tasks/downstream/downstream_recipe.h"
#include "tasks/vqa/network/rank_answers.h"

namespace vicha {

/// How answers are found.
struct AnsweringOptions {
  std::int64_t k_test = 128;
  AnswerRank rank = AnswerRank::kExact;
  std::int64_t beams = 3, max_tokens = 20;

  void describe(Visitor& v);
};

/// Whether soft targets reach the decoder.
enum class DecoderAlpha {
  kExact,    ///< as the recipe's section distillation says
  kReleased  ///< never: the public code does not hand alpha to the decoder
};
inline constexpr Choice<DecoderAlpha> kDecoderAlphaNames[] = {{"exact", DecoderAlpha::kExact},
                                                              {"released", DecoderAlpha::kReleased}};

struct VqaOptions {
  std::string answers;
  std::int64_t min_count = 1;
  double vg_weight = 0.5;
  DecoderAlpha decoder_alpha = DecoderAlpha::kExact;
  bool similarity = false;
  AnsweringOptions answering;

  void describe(Visitor& v);
};

class VqaRecipe : public DownstreamRecipe {
 public:
  VqaOptions vqa;

  VqaRecipe() : DownstreamRecipe("vqa") {}
  void describe(Visitor& v);
  void finish() override;
  std::vector<std::pair<std::string, std::string>> facts() const override;
};

inline constexpr const char *kQuestionField = "question", *kAnswersField = "answer", *kQuestionIdField = "question_id",
                            *kDatasetField = "dataset", *kQuestionTypeField = "question_type",
                            *kAnswerTypeField = "answer_type";

/// Questions are cut at 30 words in training, at 50 in evaluation.
TextRule question_rule(bool training);
Schema vqa_training_schema();
/// Records may lack everything but picture and question.
Schema vqa_evaluation_schema();

}  // namespace vicha
