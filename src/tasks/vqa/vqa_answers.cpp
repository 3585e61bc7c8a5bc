#include "tasks/vqa/vqa_answers.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "data/pipeline/collate.h"
#include "metrics/calibration.h"
#include "metrics/share.h"
#include "metrics/vqa_accuracy.h"
#include "tasks/vqa/network/generate_answers.h"

namespace vicha {
namespace {

using VqaJson = nlohmann::ordered_json;

/// Every annotator's answer to a question.
std::vector<std::string> annotators_of(const std::vector<Answer>& answers) {
  std::vector<std::string> all;
  for (const Answer& answer : answers)
    all.insert(all.end(), static_cast<std::size_t>(answer.count), std::string(answer.text));
  return all;
}

/// The answer that most gave; of equally many the first.
const Answer& commonest(const std::vector<Answer>& answers) {
  return *std::ranges::max_element(answers, {}, &Answer::count);
}

std::string text_at(const Manifest& manifest, const char* field, std::int64_t record) {
  const auto& column = manifest.column<TextColumn>(field);
  return column.has(record) ? std::string(column[record]) : "";
}

/// What the answer that is right most often would reach if it were always given.
double majority_accuracy(const std::vector<std::vector<std::string>>& annotators) {
  std::unordered_map<std::string, std::int64_t> times;
  for (const auto& given : annotators) {
    for (const std::string& text : given) ++times[normalise_vqa_answer(text)];
  }
  std::string best;
  std::int64_t most = 0;
  for (const auto& [text, count] : times) {
    if (count > most || (count == most && text < best)) std::tie(best, most) = std::pair(text, count);
  }
  MeanAccuracy mean;
  for (const auto& given : annotators) mean.add(vqa_accuracy(best, given));
  return mean.value();
}

std::string accuracy_row(const std::string& name, double share, std::int64_t count) {
  return fmt::format("{:<40}{:>9.2f}{:>10}\n", printable(name), round_percent(share), count);
}

void add_types(Judgement& judged, const char* key, const char* title,
               const std::map<std::string, MeanAccuracy>& types) {
  for (const auto& [type, mean] : types) {
    judged.figures[key][type] = round_percent(mean.value());
    judged.table += accuracy_row(fmt::format("{} {}", title, type), mean.value(), mean.count());
  }
}

}  // namespace

QuestionStates question_states(const Vicha& model, const QuestionBatch& batch) {
  return {fuse_texts(model.online(), batch.text, batch.kv, FusedImages(batch.image), batch.image_of.front(),
                     FusedRows::kAll, Dropout()),
          batch.text.pack.lengths};
}

at::Tensor texts_of_list(const VqaNet& net, const AnswerList& list) {
  if (net.similarity() == nullptr) return {};
  const at::NoGradGuard guard;
  std::vector<std::vector<std::int64_t>> rows;
  for (std::int64_t answer = 0; answer < list.size(); ++answer) {
    const std::span<const std::int64_t> ids = list.paths().tokens(answer);
    rows.emplace_back(ids.begin(), ids.end());
  }
  std::vector<const std::vector<std::int64_t>*> pointers;
  for (const auto& row : rows) pointers.push_back(&row);
  return net.similarity()->answers(collate_tokens(pointers, /*pad_id, which nobody reads=*/0));
}

std::vector<RankedAnswers> rank_asked(const VqaNet& net, const AnswerList& list, const AskedQuestions& asked,
                                      const RankOptions& options, const at::Tensor& list_texts_AE) {
  std::vector<RankedAnswers> ranked = rank_answers(net.decoder(), asked.fused, list.paths(), options);
  if (net.similarity() == nullptr) return ranked;
  const at::NoGradGuard guard;
  const at::Tensor gains_QA = net.similarity()->gains(asked, list_texts_AE).cpu().contiguous();
  for (std::size_t q = 0; q < ranked.size(); ++q) {
    add_gains(ranked[q], gains_QA.const_data_ptr<float>() + static_cast<std::int64_t>(q) * list.size());
  }
  return ranked;
}

SetAnswers rank_set(const Vicha& model, const VqaNet& net, const AnswerList& list,
                    const std::shared_ptr<const EvaluationSet>& set, const AnsweringOptions& answering,
                    const QuestionOptions& questions, const std::string& name, const Group& group) {
  const std::int64_t k = std::min(answering.k_test, list.size());
  const at::Tensor list_texts = texts_of_list(net, list);
  // Indices are below a million, so that fp32 holds them.
  const at::Tensor both = score_questions(
      model, set, questions, 2 * k,
      [&](const QuestionBatch& batch) {
        const QuestionStates states = question_states(model, batch);
        const std::vector<RankedAnswers> ranked =
            rank_asked(net, list, {states, batch.text, batch.image, batch.image_of.front()},
                       {.k = k, .rank = answering.rank}, list_texts);
        at::Tensor rows = at::empty({static_cast<std::int64_t>(ranked.size()), 2 * k});
        float* out = rows.data_ptr<float>();
        for (const RankedAnswers& of : ranked) {
          out = std::ranges::transform(of.answers, out, [](std::int64_t a) { return static_cast<float>(a); }).out;
          out = std::ranges::transform(of.log_probs, out, [](double p) { return static_cast<float>(p); }).out;
        }
        return rows;
      },
      name, group);
  SetAnswers answers{.texts = {}, .choices = both.slice(1, 0, k).to(at::kLong), .log_probs = both.slice(1, k)};
  for (std::int64_t i = 0; i < answers.choices.size(0); ++i) {
    answers.texts.push_back(list.text(answers.choices[i][0].item<std::int64_t>()));
  }
  return answers;
}

std::string generated_text(std::vector<std::int64_t> ids, const AnswerList& list, const Vocabulary& vocabulary) {
  std::string text = text_of_pieces(ids, vocabulary);
  ids.insert(ids.begin(), vocabulary.cls_id());
  ids.push_back(vocabulary.sep_id());
  const std::optional<std::int64_t> known = list.find(ids);
  return known ? list.text(*known) : text;
}

SetAnswers generate_set(const Vicha& model, const VqaNet& net, const AnswerList& list, const Vocabulary& vocabulary,
                        const std::shared_ptr<const EvaluationSet>& set, const AnsweringOptions& answering,
                        const QuestionOptions& questions, const std::string& name) {
  SetAnswers answers;
  answers.texts.resize(static_cast<std::size_t>(set->caption_count()));
  answers.log_probs = at::zeros({set->caption_count(), 1});
  for_each_question(model, set, questions, [&](const QuestionBatch& batch) {
    const std::vector<GeneratedAnswer> generated = generate_answers(
        net.decoder(), question_states(model, batch), {.beams = answering.beams, .max_tokens = answering.max_tokens});
    for (std::size_t i = 0; i < generated.size(); ++i) {
      if (std::isnan(generated[i].log_prob)) refuse_scores(name, *set, batch.texts[i]);
      answers.texts[static_cast<std::size_t>(batch.texts[i])] = generated_text(generated[i].ids, list, vocabulary);
      answers.log_probs.data_ptr<float>()[batch.texts[i]] = static_cast<float>(generated[i].log_prob);
    }
  });
  return answers;
}

at::Tensor right_choices(const EvaluationSet& set, const SetAnswers& answers, const AnswerList& list) {
  const auto& column = set.manifest().column<AnswersColumn>(kAnswersField);
  at::Tensor right = at::full({set.caption_count()}, -1, at::kLong);
  const at::Tensor choices = answers.choices.contiguous();
  const std::int64_t k = choices.size(1);
  for (std::int64_t i = 0; i < set.caption_count(); ++i) {
    const std::int64_t record = set.caption_record(i);
    if (!column.has(record)) continue;
    const std::vector<Answer> given = column[record];
    const std::string_view wanted = commonest(given).text;
    const std::int64_t* row = choices.const_data_ptr<std::int64_t>() + i * k;
    const std::int64_t* found = std::find_if(row, row + k, [&](std::int64_t a) { return list.text(a) == wanted; });
    if (found != row + k) right.data_ptr<std::int64_t>()[i] = found - row;
  }
  return right;
}

Judgement judge_answers(const EvaluationSet& set, const SetAnswers& answers, const AnswerList& list,
                        double temperature) {
  const Manifest& manifest = set.manifest();
  const auto& column = manifest.column<AnswersColumn>(kAnswersField);
  const std::unordered_set<std::string_view> known(list.texts().begin(), list.texts().end());
  VqaScores scores;
  std::vector<std::vector<std::string>> annotators;
  std::vector<std::int64_t> judged_rows;
  std::vector<float> right;
  std::int64_t unreachable = 0;
  for (std::int64_t i = 0; i < set.caption_count(); ++i) {
    const std::int64_t record = set.caption_record(i);
    if (!column.has(record)) continue;
    const std::vector<Answer> given = column[record];
    annotators.push_back(annotators_of(given));
    judged_rows.push_back(i);
    right.push_back(static_cast<float>(scores.add(answers.texts[static_cast<std::size_t>(i)], annotators.back(),
                                                  text_at(manifest, kQuestionTypeField, record),
                                                  text_at(manifest, kAnswerTypeField, record))));
    unreachable += std::ranges::none_of(given, [&](const Answer& a) { return known.contains(a.text); });
  }
  Judgement judged;
  VqaJson& json = judged.figures;
  if (scores.count() > 0) {
    judged.score = 100.0 * scores.overall();
    judged.table = fmt::format("{:<40}{:>9}{:>10}\n", "", "accuracy", "questions");
    json["accuracy"] = round_percent(scores.overall());
    add_types(judged, "question_types", "question", scores.by_question_type());
    add_types(judged, "answer_types", "answer", scores.by_answer_type());
    judged.table += accuracy_row("all", scores.overall(), scores.count());
    json["majority"] = round_percent(majority_accuracy(annotators));
    const at::Tensor rows = at::tensor(judged_rows, at::kLong);
    const at::Tensor logits = answers.log_probs.index_select(0, rows).to(at::kDouble);
    const at::Tensor confidence =
        answers.choices.defined() ? (logits / temperature).softmax(1).select(1, 0) : logits.select(1, 0).exp();
    if (answers.choices.defined()) {
      const double nll =
          negative_log_likelihood(logits, right_choices(set, answers, list).index_select(0, rows), temperature);
      json["nll"] = std::round(nll * 1e4) / 1e4;
      json["not_in_list"] = round_percent(static_cast<double>(unreachable) / static_cast<double>(scores.count()));
    }
    json["ece"] = to_thousandth(expected_calibration_error(confidence, at::tensor(right)));
    judged.table += fmt::format("always the most frequent answer {:.2f}; calibration error {:.2f} %{}\n",
                                json["majority"].get<double>(), json["ece"].get<double>(),
                                answers.choices.defined()
                                    ? fmt::format("; {:.2f} % of the questions have no answer in the list of {}",
                                                  json["not_in_list"].get<double>(), list.size())
                                    : "");
  }
  json["records"] = set.caption_count();
  json["without_answers"] = set.caption_count() - scores.count();
  return judged;
}

std::vector<std::int64_t> submitted_questions(const EvaluationSet& set) {
  const Manifest& manifest = set.manifest();
  const auto& ids = manifest.column<IdColumn>(kQuestionIdField);
  std::vector<std::int64_t> questions;
  std::unordered_map<std::int64_t, std::int64_t> first_of;  // question of each id
  for (std::int64_t i = 0; i < set.caption_count(); ++i) {
    const std::int64_t record = set.caption_record(i);
    if (!ids.has(record)) {
      throw DataError(manifest.where(record), "has no field \"question_id\", which a submission names",
                      "Give every record its id, or leave --submission out");
    }
    const auto [first, fresh] = first_of.try_emplace(ids[record].number, i);
    if (fresh) {
      questions.push_back(i);
    } else if (set.caption(i) != set.caption(first->second) || set.images_of(i) != set.images_of(first->second)) {
      throw DataError(
          manifest.where(record),
          fmt::format("has the question_id {}, as {} has, and asks something else: a submission has one answer "
                      "for both",
                      ids[record].text, manifest.where(set.caption_record(first->second))),
          "Give every question an id of its own, or leave --submission out");
    }
  }
  return questions;
}

std::string submission_json(const EvaluationSet& set, const std::vector<std::string>& answers) {
  const auto& ids = set.manifest().column<IdColumn>(kQuestionIdField);
  VqaJson rows = VqaJson::array();
  for (const std::int64_t question : submitted_questions(set)) {
    const RecordId id = ids[set.caption_record(question)];
    const VqaJson value = id.integer ? VqaJson::parse(id.text) : VqaJson(std::string(id.text));
    rows.push_back({{"question_id", value}, {"answer", answers[static_cast<std::size_t>(question)]}});
  }
  return json_text(rows) + "\n";
}

}  // namespace vicha
