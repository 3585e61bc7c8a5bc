#include "demo/scenes/figures.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace vicha::demo {
namespace {

double percent(double part, double whole) { return whole > 0 ? std::round(1000.0 * part / whole) / 10.0 : 0.0; }

/// Answers and how often each was seen; of equally frequent ones the first seen counts as the most frequent.
class Tally {
 public:
  void add(const std::string& answer) {
    for (auto& [known, count] : counts_) {
      if (known == answer) {
        ++count;
        return;
      }
    }
    counts_.emplace_back(answer, 1);
  }

  const std::string& most_frequent() const {
    VICHA_ASSERT(!counts_.empty());
    return std::max_element(counts_.begin(), counts_.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->first;
  }

 private:
  std::vector<std::pair<std::string, std::int64_t>> counts_;
};

/// How often the most frequent answer of training records with the same key is right; where the key is new, the most
/// frequent answer of all.
template <class Record, class KeyOf, class AnswerOf>
double guess_rate(const std::vector<Record>& train, const std::vector<Record>& test, KeyOf&& key_of,
                  AnswerOf&& answer_of) {
  std::map<std::string, Tally> by_key;
  Tally all;
  for (const Record& record : train) {
    by_key[key_of(record)].add(answer_of(record));
    all.add(answer_of(record));
  }
  double right = 0;
  for (const Record& record : test) {
    const auto found = by_key.find(key_of(record));
    const Tally& tally = found == by_key.end() ? all : found->second;
    right += tally.most_frequent() == answer_of(record);
  }
  return percent(right, static_cast<double>(test.size()));
}

std::string first_word(const std::string& text) { return text.substr(0, text.find(' ')); }

/// How well a box fits what an expression says, as far as texts and boxes tell: by size or height, or all alike.
std::function<double(const Box&)> fit_of(const Expression& expression) {
  const auto says = [&](std::string_view word) {
    return expression.text.starts_with("the " + std::string(word) + " ");
  };
  switch (expression.form) {
    case ExpressionForm::kName:
      return [](const Box&) { return 0.0; };
    case ExpressionForm::kSize:
      return [sign = says("large") ? 1.0 : -1.0](const Box& box) { return sign * box.width * box.height; };
    case ExpressionForm::kRelation:
      return [sign = says("upper") ? -1.0 : 1.0](const Box& box) { return sign * (2 * box.y + box.height); };
  }
  VICHA_ASSERT(false);
}

/// The probability that one of the best-fitting boxes, drawn evenly, is the first object's.
double chance_of_target(const Scene& scene, const std::function<double(const Box&)>& fit) {
  std::vector<double> fits;
  for (const SceneObject& object : scene.objects) fits.push_back(fit(object.box));
  const double best = *std::max_element(fits.begin(), fits.end());
  if (fits.front() < best) return 0.0;
  return 1.0 / static_cast<double>(std::count(fits.begin(), fits.end(), best));
}

/// Rate of `probability(expression)` over the split's expressions of a form, or all.
template <class Probability>
double rate_over(const SceneSplit& split, std::optional<ExpressionForm> form, Probability&& probability) {
  double right = 0, count = 0;
  for (const Expression& expression : split.expressions) {
    if (form && expression.form != *form) continue;
    right += probability(expression);
    ++count;
  }
  return percent(right, count);
}

TaskFigures grounding_figures(const SceneSplit& test) {
  const auto scene_of = [&](const Expression& expression) -> const Scene& {
    return test.pictures[expression.picture].scene;
  };
  const auto by_boxes = [&](const Expression& expression) {
    return chance_of_target(scene_of(expression), fit_of(expression));
  };
  TaskFigures figures{"grounding", {}, rate_over(test, {}, by_boxes), 0.0};
  figures.chance = rate_over(test, {}, [&](const Expression& expression) {
    return 1.0 / static_cast<double>(scene_of(expression).objects.size());
  });
  figures.rules = {{"grounding_random_box", figures.chance}, {"grounding_text_and_boxes", figures.blind}};
  for (const auto& [name, form] : kExpressionForms) {
    figures.rules.emplace_back("grounding_text_and_boxes_" + std::string(name), rate_over(test, form, by_boxes));
  }
  return figures;
}

/// The rules of a task that learn from its training records.
template <class Record, class AnswerOf>
class LearntRules {
 public:
  LearntRules(const std::vector<Record>& train, const std::vector<Record>& test, AnswerOf answer_of,
              TaskFigures& figures)
      : train_(train), test_(test), answer_of_(answer_of), figures_(figures) {}

  template <class KeyOf>
  LearntRules& by(const char* name, KeyOf&& key_of) {
    const double rate = guess_rate(train_, test_, key_of, answer_of_);
    figures_.rules.emplace_back(figures_.task + "_" + name, rate);
    figures_.blind = std::max(figures_.blind, rate);
    return *this;
  }

 private:
  const std::vector<Record>& train_;
  const std::vector<Record>& test_;
  AnswerOf answer_of_;
  TaskFigures& figures_;
};

double one_of_so_many(std::size_t count) { return percent(1.0, static_cast<double>(count)); }

}  // namespace

std::vector<TaskFigures> measure_figures(const SceneSplit& train, const SceneSplit& test, std::size_t answers) {
  TaskFigures vqa{"vqa", {}, 0.0, one_of_so_many(answers)};
  LearntRules(
      train.questions, test.questions, [](const Question& q) { return q.answer; }, vqa)
      .by("question_type",
          [](const Question& q) { return std::string(name_of(kQuestionForms, q.form)) + " " + first_word(q.text); })
      .by("question_text", [](const Question& q) { return q.text; });

  TaskFigures nlvr{"nlvr2", {}, 0.0, one_of_so_many(2)};
  LearntRules(
      train.statements, test.statements, [](const Statement& s) { return std::string(s.holds ? "yes" : "no"); }, nlvr)
      .by("form", [](const Statement& s) { return std::string(name_of(kStatementForms, s.form)); })
      .by("sentence", [](const Statement& s) { return s.text; });

  const auto form = [](const Hypothesis& h) { return std::string(name_of(kHypothesisForms, h.form)); };
  const auto card = [](const Hypothesis& h) { return std::string(h.covered ? "card" : "no card"); };
  TaskFigures entailment{"entailment", {}, 0.0, one_of_so_many(std::size(kEntailments))};
  LearntRules(
      train.hypotheses, test.hypotheses,
      [](const Hypothesis& h) { return std::string(name_of(kEntailments, h.label)); }, entailment)
      .by("form", form)
      .by("sentence", [](const Hypothesis& h) { return h.text; })
      .by("card", card)
      .by("card_and_form", [&](const Hypothesis& h) { return card(h) + " " + form(h); });

  return {std::move(vqa), std::move(nlvr), std::move(entailment), grounding_figures(test),
          TaskFigures{"retrieval", {}, 0.0, one_of_so_many(test.captions.size())}};
}

}  // namespace vicha::demo
