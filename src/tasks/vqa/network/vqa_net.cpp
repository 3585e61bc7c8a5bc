#include "tasks/vqa/network/vqa_net.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace vicha {

bool VqaNet::start_missing(const std::unordered_set<std::string>& missing) {
  if (!missing.contains("text_decoder.bert.embeddings.word_embeddings.weight")) return false;
  start_answer_decoder(model_.parameters(), model_.options().text);
  return true;
}

QuestionStates VqaNet::encode(const Questions& questions, const Dropout& dropout) const {
  return encode_questions(model_.online(), questions.pictures, questions.concepts,
                          PackedText::packed(questions.texts, model_.device()), dropout);
}

at::Tensor VqaNet::teacher_logits(const Questions& questions, const AnswerRows& rows, const Dropout& dropout) const {
  const at::NoGradGuard guard;
  const QuestionStates states = encode_questions(model_.momentum(), questions.pictures, questions.concepts,
                                                 PackedText::packed(questions.texts, model_.device()), dropout);
  return answer_logits(decoders_.momentum, states, rows, dropout);
}

VqaNet::Step VqaNet::step(const Questions& questions, const GivenAnswers& answers, double alpha,
                          const Dropout& dropout) const {
  Step step{.rows = AnswerRows(answers, questions.texts.lengths, model_.device()),
            .questions = encode(questions, dropout),
            .logits = {},
            .losses = {},
            .loss = {}};
  step.logits = answer_logits(decoders_.online, step.questions, step.rows, dropout);
  const at::Tensor teacher = alpha > 0.0 ? teacher_logits(questions, step.rows, dropout) : at::Tensor();
  step.losses = token_losses(step.logits, step.rows.targets, teacher, alpha);
  step.loss = weighted_answer_loss(step.losses, step.rows, step.questions.size());
  return step;
}

}  // namespace vicha
