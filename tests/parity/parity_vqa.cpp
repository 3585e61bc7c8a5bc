// The "vqa" fixture: a fine-tuning step with several answers a question, and ranked answers. Also the text functions
// and the accuracy of the official evaluation.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "base/files.h"
#include "checkpoint/safetensors/safetensors.h"
#include "fixture_set.h"
#include "metrics/vqa_accuracy.h"
#include "objectives/mlm.h"
#include "tasks/vqa/network/answer_loss.h"
#include "tasks/vqa/network/rank_answers.h"

namespace vicha::parity {
namespace {

std::vector<std::int64_t> integers(const at::Tensor& x) {
  const at::Tensor flat = x.to(at::kLong).contiguous();
  return {flat.data_ptr<std::int64_t>(), flat.data_ptr<std::int64_t>() + flat.numel()};
}

Tokens answer_tokens(const StateDict& data, const std::string& prefix) {
  return {data.at(prefix + ".in.answer_ids"), integers(data.at(prefix + ".in.answer_mask").sum(1))};
}

GivenAnswers given_answers(const StateDict& data, const std::string& prefix) {
  GivenAnswers answers{answer_tokens(data, prefix), {}, {}};
  const std::vector<std::int64_t> counts = integers(data.at(prefix + ".in.answers_per_question"));
  for (std::size_t q = 0; q < counts.size(); ++q) {
    answers.question.insert(answers.question.end(), static_cast<std::size_t>(counts[q]), static_cast<std::int64_t>(q));
  }
  const at::Tensor weights = data.at(prefix + ".in.answer_weights").contiguous();
  answers.weights = {weights.data_ptr<float>(), weights.data_ptr<float>() + weights.numel()};
  return answers;
}

/// The first `lengths[i]` rows of each padded (n, L, …), one after the other.
at::Tensor unpadded(const at::Tensor& padded, const std::vector<std::int64_t>& lengths) {
  std::vector<at::Tensor> rows;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    rows.push_back(padded.select(0, static_cast<std::int64_t>(i)).slice(0, 0, lengths[i]));
  }
  return at::cat(rows);
}

QuestionStates states_of(const Encoders& encoders, const Batch& batch) {
  return encode_questions(encoders, batch.image, batch.concepts, PackedText::packed(batch.text, batch.image.device()),
                          Dropout());
}

void check_ranking(const Vicha& model, const AnswerDecoder& decoder, const Batch& batch, const StateDict& data,
                   std::int64_t k, Report& report) {
  const at::NoGradGuard guard;
  const Tokens list = answer_tokens(data, "s0.eval");
  std::vector<std::vector<std::int64_t>> answers;
  for (std::int64_t i = 0; i < list.size(); ++i) {
    answers.push_back(integers(list.ids[i].slice(0, 0, list.lengths[static_cast<std::size_t>(i)])));
  }
  const std::vector<RankedAnswers> ranked =
      rank_answers(decoder, states_of(model.online(), batch), AnswerPaths(std::move(answers)),
                   {.k = k, .rank = AnswerRank::kReleased});
  const at::Tensor ids = data.at("s0.eval.out.topk_ids"), probabilities = data.at("s0.eval.out.topk_probs");
  for (std::size_t q = 0; q < ranked.size(); ++q) {
    const auto row = static_cast<std::int64_t>(q);
    report.expect("topk_ids " + std::to_string(q), ranked[q].answers == integers(ids[row]));
    report.tensor("topk_probs " + std::to_string(q), at::tensor(ranked[q].probabilities),
                  probabilities[row].to(at::kDouble), kState);
  }
  report.close("vqa ranked answers");
}

/// Names of a downstream fixture have no step in front: as if it were step 0.
StateDict as_step(const StateDict& data) {
  StateDict result;
  for (const auto& [name, tensor] : data) result.set("s0." + name, tensor);
  return result;
}

}  // namespace

void check_vqa(const fs::path& folder, Report& report) {
  const FixtureSet set(folder, "vqa");
  const StateDict data = as_step(read_safetensors(folder / "vqa.safetensors"));
  const auto& fixture = set.fixture();
  const auto& expected = fixture.at("train");
  const auto model = set.model();
  const MlmObjective mlm({}, *model);  // what the decoder's head begins as
  set.fill(*model, report);
  const Twins<AnswerDecoder> decoders = add_answer_decoder(model->parameters(), model->options().text);
  start_answer_decoder(model->parameters(), model->options().text);
  const ReleasedNames names(model->parameters());
  for (std::size_t i = 0; i < fixture.at("state_names").size(); ++i) {
    const std::string name = fixture.at("state_names")[i];
    add_fingerprint(report, name, names.value(name), fixture.at("loaded_fp")[i], kState);
  }
  for (const auto& [name, theirs] : below(data, "s0.loaded.")) report.tensor(name, names.value(name), theirs, kState);
  report.close("vqa load");

  const Batch batch = set.batch(data, "s0");
  check_ranking(*model, decoders.online, batch, data, fixture.at("eval").at("k"), report);

  const GivenAnswers answers = given_answers(data, "s0");
  const AnswerRows rows(answers, batch.text.lengths, at::kCPU);
  model->update_momentum();
  const QuestionStates questions = states_of(model->online(), batch);
  const at::Tensor logits = answer_logits(decoders.online, questions, rows, Dropout());
  // The public decoder is not told of alpha, so the recorded loss has no teacher in it.
  const at::Tensor losses = token_losses(logits, rows.targets, {}, 0.0);
  const at::Tensor loss = weighted_answer_loss(losses, rows, questions.size());
  {
    const at::NoGradGuard guard;
    const at::Tensor teacher = answer_logits(decoders.momentum, states_of(model->momentum(), batch), rows, Dropout());
    report.tensor("question_states", questions.states, unpadded(data.at("s0.out.question_states"), questions.lengths),
                  kState);
    report.tensor("decoder_logits", logits, unpadded(data.at("s0.out.decoder_logits"), rows.lengths), kState);
    report.tensor("decoder_logits_m", teacher, unpadded(data.at("s0.out.decoder_logits_m"), rows.lengths), kState);
    report.tensor("per_answer_loss", sum_by_answer(losses, rows), data.at("s0.out.per_answer_loss"), kState);
    report.tensor("loss", loss, data.at("s0.out.loss"), kLoss);
    report.close("vqa intermediate results");
  }
  const StepChecks checks{"vqa", report, names};
  checks.losses({{"vqa", loss}, {"total", loss}}, expected);
  AdamW optimizer(model->parameters(), OptimizerOptions{});
  torch::autograd::backward({loss});
  checks.gradients(expected.at("grad_names"), expected, below(data, "s0.grad."));
  optimizer.step(expected.at("lr"));
  checks.states(fixture.at("state_names"), expected, below(data, "s0.after."));
}

void check_vqa_metrics(const fs::path& folder, Report& report) {
  const auto texts = read_json(folder / "metrics" / "vqa_text.json");
  for (const auto& c : texts) {
    const std::string text = c.at("text");
    report.expect("punctuation of " + text, vqa_punctuation(text) == c.at("processPunctuation").get<std::string>());
    report.expect("words of " + text, vqa_words(text) == c.at("processDigitArticle").get<std::string>());
  }
  const auto tables = read_json(folder / "metrics" / "vqa_tables.json");
  for (const auto& [from, to] : tables.at("contractions").items()) {
    // Words are looked up in lower case.
    const bool lower = from.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos;
    if (lower) report.expect("contraction " + from, vqa_words(from) == to.get<std::string>());
  }
  for (const auto& [from, to] : tables.at("number_words").items()) {
    report.expect("number " + from, vqa_words(from) == to.get<std::string>());
  }
  report.close("metrics of vqa: texts");

  const auto set = read_json(folder / "metrics" / "vqa.json");
  VqaScores scores;
  for (std::size_t i = 0; i < set.at("results").size(); ++i) {
    const auto &result = set.at("results")[i], &annotation = set.at("annotations")[i];
    const std::string answer = result.at("answer");
    report.expect("normalised " + answer, normalise_vqa_answer(answer) == result.at("normalised").get<std::string>());
    const double accuracy = scores.add(answer, annotation.at("answers").get<std::vector<std::string>>(),
                                       annotation.at("question_type"), annotation.at("answer_type"));
    report.add("accuracy of " + answer, std::abs(round_percent(accuracy) - result.at("accuracy").get<double>()), 1e-9);
  }
  const auto& accuracy = set.at("accuracy");
  report.add("overall", std::abs(round_percent(scores.overall()) - accuracy.at("overall").get<double>()), 1e-9);
  for (const auto& [of, types] : {std::pair("perQuestionType", &scores.by_question_type()),
                                  std::pair("perAnswerType", &scores.by_answer_type())}) {
    report.expect(of, types->size() == accuracy.at(of).size());
    for (const auto& [type, mean] : *types) {
      report.add(type, std::abs(round_percent(mean.value()) - accuracy.at(of).at(type).get<double>()), 1e-9);
    }
  }
  report.close("metrics of vqa: accuracies");
}

}  // namespace vicha::parity
