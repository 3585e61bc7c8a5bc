#include "tasks/vqa/network/vqa_net.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <map>
#include <numeric>

#include "base/error.h"
#include "nn/host_copy.h"

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
  const PairStates pairs = encode_pairs(model_.online(), questions.pictures, questions.concepts,
                                        PackedText::packed(questions.texts, model_.device()), FusedRows::kAll, dropout);
  Step step{.rows = AnswerRows(answers, questions.texts.lengths, model_.device()),
            .questions = {pairs.fused, pairs.lengths},
            .logits = {},
            .losses = {},
            .loss = {},
            .gain_loss = {}};
  step.logits = answer_logits(decoders_.online, step.questions, step.rows, dropout);
  const at::Tensor teacher = alpha > 0.0 ? teacher_logits(questions, step.rows, dropout) : at::Tensor();
  step.losses = token_losses(step.logits, step.rows.targets, teacher, alpha);
  step.loss = weighted_answer_loss(step.losses, step.rows, step.questions.size());
  if (similarity_) step.gain_loss = gain_loss(pairs, answers, step);
  return step;
}

at::Tensor VqaNet::gain_loss(const PairStates& pairs, const GivenAnswers& answers, const Step& step) const {
  const at::Tensor ids = answers.tokens.ids.cpu().contiguous();
  // The distinct answers of the batch; of each given one its number among them; of each question its first row, which
  // says what follows [CLS].
  std::map<std::vector<std::int64_t>, std::int64_t> numbers;
  std::vector<std::int64_t> distinct, first_token, number, start;
  std::int64_t row = 0;
  for (std::size_t i = 0; i < answers.question.size(); ++i) {
    const std::int64_t* from = ids.const_data_ptr<std::int64_t>() + static_cast<std::int64_t>(i) * ids.size(1);
    const auto [known, fresh] = numbers.try_emplace(std::vector<std::int64_t>(from, from + answers.tokens.lengths[i]),
                                                    static_cast<std::int64_t>(numbers.size()));
    if (fresh) {
      distinct.push_back(static_cast<std::int64_t>(i));
      first_token.push_back(from[1]);
    }
    number.push_back(known->second);
    if (i == 0 || answers.question[i] != answers.question[i - 1]) start.push_back(row);
    row += step.rows.lengths[i];
  }
  const std::int64_t questions = step.questions.size(), count = static_cast<std::int64_t>(distinct.size());
  VICHA_ASSERT(static_cast<std::int64_t>(start.size()) == questions);  // each has an answer
  at::Tensor wanted_QA = at::zeros({questions, count});
  for (std::size_t i = 0; i < number.size(); ++i) {
    wanted_QA.data_ptr<float>()[answers.question[i] * count + number[i]] += answers.weights[i];
  }
  Tokens read;
  read.ids = ids.index_select(0, at::tensor(distinct, at::kLong));
  for (const std::int64_t i : distinct) read.lengths.push_back(answers.tokens.lengths[static_cast<std::size_t>(i)]);

  const at::Device device = model_.device();
  const at::Tensor log_probs_QA = step.logits.detach()
                                      .index_select(0, row_indices(start, device))
                                      .log_softmax(1)
                                      .index_select(1, row_indices(first_token, device));
  std::vector<std::int64_t> image_of(static_cast<std::size_t>(questions));
  std::iota(image_of.begin(), image_of.end(), 0);
  const at::Tensor gains_QA =
      similarity_->gains({step.questions, pairs.text, pairs.image, image_of}, similarity_->answers(read));
  return answer_gain_loss(log_probs_QA, gains_QA, to_device(wanted_QA, device));
}

}  // namespace vicha
