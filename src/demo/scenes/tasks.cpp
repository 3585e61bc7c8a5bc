#include "demo/scenes/tasks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "demo/scenes/draws.h"
#include "demo/words.h"

namespace vicha::demo {
namespace {

using Kinds = std::vector<std::size_t>;

/// Categories that questions ask for by name; the others' names are no words for their members.
constexpr std::array<std::string_view, 4> kAskedCategories = {"animal", "food", "vehicle", "clothing"};
/// Kinds that one statement draws from: the one it is of, and seven others.
constexpr std::size_t kStatementKinds = 8;

enum class TaskNumber : std::uint64_t { kCaptions, kQuestions, kStatements, kHypotheses, kExpressions };

std::string_view size_word(bool large) { return large ? "large" : "small"; }

/// Members of the four categories.
std::vector<Kinds> asked_members(const SceneCast& cast) {
  std::vector<Kinds> members(kAskedCategories.size());
  for (std::size_t kind = 0; kind < cast.concepts.size(); ++kind) {
    const auto* found = std::find(kAskedCategories.begin(), kAskedCategories.end(), cast.concepts[kind].category);
    if (found != kAskedCategories.end())
      members[static_cast<std::size_t>(found - kAskedCategories.begin())].push_back(kind);
  }
  return members;
}

bool rows_differ(const Scene& scene) {
  std::set<int> rows;
  for (const SceneObject& object : scene.objects) rows.insert(object.row);
  return rows.size() == scene.objects.size();
}

std::vector<SceneObject> from_top(const Scene& scene) {
  std::vector<SceneObject> objects = scene.objects;
  std::stable_sort(objects.begin(), objects.end(),
                   [](const SceneObject& a, const SceneObject& b) { return a.row < b.row; });
  return objects;
}

void append(Kinds& kinds, const Kinds& more) { kinds.insert(kinds.end(), more.begin(), more.end()); }

class SplitPlanner {
 public:
  SplitPlanner(const Stage& stage, std::string name, std::uint64_t number, std::int64_t count, std::uint64_t seed)
      : stage_(stage), members_(asked_members(stage.cast())), number_(number), count_(count), seed_(seed) {
    split_.name = std::move(name);
  }

  SceneSplit plan() && {
    for (std::int64_t i = 0; i < count_; ++i) add_captions(i);
    for (std::int64_t i = 0; i < count_; ++i) add_question(i);
    for (std::int64_t i = 0; i < count_ / 2; ++i) add_statements(i);
    for (std::int64_t i = 0; i < count_; ++i) add_hypothesis(i);
    for (std::int64_t i = 0; i < count_; ++i) add_expression(i);
    return std::move(split_);
  }

 private:
  Rng draws_of(TaskNumber task, std::int64_t i) const {
    return Rng(mix_seed({seed_, number_, static_cast<std::uint64_t>(task), static_cast<std::uint64_t>(i)}));
  }

  const std::string& name_of_kind(std::size_t kind) const { return stage_.cast().concepts[kind].name; }
  const std::string& name_of(const SceneObject& object) const { return name_of_kind(object.kind); }
  std::string sized(const SceneObject& object) const {
    return fmt::format("{} {}", size_word(object.large), name_of(object));
  }

  Kinds some_kinds(Rng& rng, std::size_t count) const { return some_below(rng, stage_.cast().concepts.size(), count); }

  std::size_t keep(Scene scene, std::string_view task, std::int64_t i) {
    split_.pictures.push_back({fmt::format("scenes/{}/{}_{:05}.jpg", split_.name, task, i), std::move(scene)});
    return split_.pictures.size() - 1;
  }

  /// Two or three objects; no relation caption comes twice in a split.
  void add_captions(std::int64_t i) {
    constexpr int kTries = 1000;
    Rng rng = draws_of(TaskNumber::kCaptions, i);
    for (int n = 0; n < kTries; ++n) {
      const std::size_t count = rng.below(3) < 2 ? 2 : 3;
      Scene scene = stage_.arrange(rng, {some_kinds(rng, count), {}, {}});
      const std::vector<SceneObject> objects = from_top(scene);
      SceneCaptions captions;
      for (std::size_t j = 0; j + 1 < objects.size(); ++j) {
        const SceneObject &one = objects[j], &next = objects[j + 1];
        captions.relation += fmt::format("{}{} {} {}", j > 0 ? " and " : "", with_article(sized(one)),
                                         one.row < next.row ? "above" : "beside", with_article(sized(next)));
      }
      for (const SceneObject& object : some_of(rng, objects, objects.size())) {
        captions.list += (captions.list.empty() ? "" : " and ") + with_article(name_of(object));
      }
      if (!relations_.insert(captions.relation).second) continue;
      captions.picture = keep(std::move(scene), "cap", i);
      split_.captions.push_back(std::move(captions));
      return;
    }
    throw UsageError(fmt::format("--scenes-count: {} things do not make {} different captions. Ask for fewer",
                                 stage_.cast().concepts.size(), count_));
  }

  void add_question(std::int64_t i) {
    Rng rng = draws_of(TaskNumber::kQuestions, i);
    Question question;
    question.form = kQuestionForms[static_cast<std::size_t>(i) % std::size(kQuestionForms)].value;
    Scene scene = ask(rng, question);
    question.picture = keep(std::move(scene), "vqa", i);
    split_.questions.push_back(std::move(question));
  }

  /// Fills in text and answer.
  Scene ask(Rng& rng, Question& question) const {
    switch (question.form) {
      case QuestionForm::kExist: {
        const bool yes = toss(rng);
        Kinds kinds = some_kinds(rng, 4);
        question.text = fmt::format("is there {} in the picture?", with_article(name_of_kind(kinds[yes ? 0 : 3])));
        question.answer = yes ? "yes" : "no";
        kinds.pop_back();
        return stage_.arrange(rng, {kinds, {}, {}});
      }
      case QuestionForm::kCategory: {
        const bool yes = toss(rng);
        const std::vector<std::size_t> categories = some_below(rng, kAskedCategories.size(), 3);
        const Kinds kinds = {one_of(rng, members_[categories[0]]), one_of(rng, members_[categories[1]])};
        question.text = fmt::format("is there any {} in the picture?", kAskedCategories[categories[yes ? 0 : 2]]);
        question.answer = yes ? "yes" : "no";
        return stage_.arrange(rng, {kinds, {}, {}});
      }
      case QuestionForm::kCount: {
        const int count = number_from(rng, 1, 4);
        const Kinds drawn = some_kinds(rng, 3);
        Kinds kinds(static_cast<std::size_t>(count), drawn[0]);
        append(kinds, Kinds(drawn.begin() + 1, drawn.begin() + 1 + number_from(rng, 0, 2)));
        question.text = fmt::format("how many {} are there?", plural(name_of_kind(drawn[0])));
        question.answer = std::to_string(count);
        return stage_.arrange(rng, {kinds, {}, {}});
      }
      case QuestionForm::kAbove: {
        const Kinds kinds = some_kinds(rng, static_cast<std::size_t>(number_from(rng, 2, 3)));
        Scene scene = stage_.arrange(rng, {kinds, {}, {}});
        while (!rows_differ(scene)) scene = stage_.arrange(rng, {kinds, {}, {}});
        const std::vector<SceneObject> objects = from_top(scene);
        const std::size_t upper = rng.below(objects.size() - 1);
        const bool asks_above = toss(rng);
        question.text = fmt::format("what is directly {} the {}?", asks_above ? "above" : "below",
                                    name_of(objects[asks_above ? upper + 1 : upper]));
        question.answer = name_of(objects[asks_above ? upper : upper + 1]);
        return scene;
      }
      case QuestionForm::kSize: {
        const Kinds kinds = some_kinds(rng, static_cast<std::size_t>(number_from(rng, 2, 3)));
        Scene scene = stage_.arrange(rng, {kinds, {}, {}});
        question.text = fmt::format("is the {} large or small?", name_of(scene.objects[0]));
        question.answer = size_word(scene.objects[0].large);
        return scene;
      }
      case QuestionForm::kMore: {
        const Kinds both = some_kinds(rng, 2);
        const std::vector<std::size_t> counts = some_of(rng, std::vector<std::size_t>{1, 2, 3}, 2);
        Kinds kinds(counts[0], both[0]);
        append(kinds, Kinds(counts[1], both[1]));
        question.text =
            fmt::format("are there more {} than {}?", plural(name_of_kind(both[0])), plural(name_of_kind(both[1])));
        question.answer = counts[0] > counts[1] ? "yes" : "no";
        return stage_.arrange(rng, {kinds, {}, {}});
      }
    }
    VICHA_ASSERT(false);
  }

  /// A statement about pairs of pictures, one of which it is true of, and one not.
  void add_statements(std::int64_t i) {
    Rng rng = draws_of(TaskNumber::kStatements, i);
    const StatementForm form = kStatementForms[static_cast<std::size_t>(i) % std::size(kStatementForms)].value;
    Kinds kinds = some_kinds(rng, kStatementKinds);
    const std::size_t kind = kinds[0];
    const Kinds others(kinds.begin() + 1, kinds.end());
    for (const bool holds : {true, false}) {
      auto [first, second] = pair_for(rng, form, kind, others, holds);
      if (form != StatementForm::kMore && toss(rng)) std::swap(first, second);
      Statement statement;
      const std::int64_t number = 2 * i + (holds ? 0 : 1);
      statement.first = keep(stage_.arrange(rng, {first, {}, {}}), "nlA", number);
      statement.second = keep(stage_.arrange(rng, {second, {}, {}}), "nlB", number);
      statement.form = form;
      statement.text = text_of(form, name_of_kind(kind));
      statement.holds = holds;
      split_.statements.push_back(std::move(statement));
    }
  }

  static std::string text_of(StatementForm form, const std::string& name) {
    switch (form) {
      case StatementForm::kBoth:
        return fmt::format("both images contain {}", with_article(name));
      case StatementForm::kTotal:
        return fmt::format("there are exactly three {} in total", plural(name));
      case StatementForm::kMore:
        return fmt::format("the first image contains more {} than the second image", plural(name));
      case StatementForm::kExactlyOne:
        return fmt::format("exactly one of the images contains {}", with_article(name));
    }
    VICHA_ASSERT(false);
  }

  /// What two pictures show so that the statement holds, or not. Each has one or two things beside.
  static std::pair<Kinds, Kinds> pair_for(Rng& rng, StatementForm form, std::size_t kind, const Kinds& others,
                                          bool holds) {
    const auto with_others = [&](int count) {
      Kinds kinds(static_cast<std::size_t>(count), kind);
      append(kinds, some_of(rng, others, static_cast<std::size_t>(number_from(rng, 1, 2))));
      return kinds;
    };
    switch (form) {
      case StatementForm::kBoth: {
        Kinds first = with_others(1), second = with_others(holds ? 1 : 0);
        if (!holds) second.push_back(others[0]);  // so that the number of things does not tell
        return {std::move(first), std::move(second)};
      }
      case StatementForm::kTotal: {
        const int total = holds ? 3 : (toss(rng) ? 2 : 4);
        const int in_first = number_from(rng, std::max(0, total - 3), std::min(3, total));
        Kinds first = with_others(in_first), second = with_others(total - in_first);
        return {std::move(first), std::move(second)};
      }
      case StatementForm::kMore: {
        const std::vector<std::size_t> counts = some_below(rng, 4, 2);
        const auto [fewer, more] = std::minmax({static_cast<int>(counts[0]), static_cast<int>(counts[1])});
        const int in_first = holds ? more : fewer, in_second = holds ? fewer : more;
        Kinds first = with_others(in_first), second = with_others(in_second);
        return {std::move(first), std::move(second)};
      }
      case StatementForm::kExactlyOne: {
        const bool in_first = holds || toss(rng);
        Kinds first = with_others(in_first ? 1 : 0), second = with_others(in_first && !holds ? 1 : 0);
        return {std::move(first), std::move(second)};
      }
    }
    VICHA_ASSERT(false);
  }

  void add_hypothesis(std::int64_t i) {
    Rng rng = draws_of(TaskNumber::kHypotheses, i);
    Hypothesis hypothesis;
    hypothesis.label = kEntailments[static_cast<std::size_t>(i) % std::size(kEntailments)].value;
    hypothesis.form = kHypothesisForms[static_cast<std::size_t>(i / 3) % std::size(kHypothesisForms)].value;
    const bool sized_form = hypothesis.form == HypothesisForm::kSize;
    const bool neutral = hypothesis.label == Entailment::kNeutral;
    const bool contradicts = hypothesis.label == Entailment::kContradiction;
    // What is not there contradicts only if nothing is hidden; a size contradicts even then; of what follows, half.
    hypothesis.covered = neutral || (contradicts ? sized_form : (i / 6) % 2 == 0);

    Kinds kinds = some_kinds(rng, static_cast<std::size_t>(number_from(rng, 3, 4)) + 1);
    const std::size_t absent = kinds.back();
    kinds.pop_back();
    SceneWish wish{kinds, {}, {}};
    if (hypothesis.covered) wish.covered = kinds.size() - 1;
    Scene scene = stage_.arrange(rng, wish);
    const SceneObject& shown = scene.objects.front();
    // Of things that could be under the card, one is there and one is not.
    const std::size_t unknown = toss(rng) ? absent : kinds.back();
    if (sized_form) {
      const bool large = neutral ? toss(rng) : shown.large != contradicts;
      hypothesis.text =
          fmt::format("the {} in the picture is {}", name_of_kind(neutral ? unknown : shown.kind), size_word(large));
    } else {
      const std::size_t kind = neutral ? unknown : contradicts ? absent : shown.kind;
      hypothesis.text = fmt::format("there is {} in the picture", with_article(name_of_kind(kind)));
    }
    hypothesis.picture = keep(std::move(scene), "ve", i);
    split_.hypotheses.push_back(std::move(hypothesis));
  }

  /// In two forms of three, another object has the same name.
  void add_expression(std::int64_t i) {
    Rng rng = draws_of(TaskNumber::kExpressions, i);
    Expression expression;
    expression.form = kExpressionForms[static_cast<std::size_t>(i) % std::size(kExpressionForms)].value;
    const Kinds kinds = some_kinds(rng, 3);
    const Kinds twice = {kinds[0], kinds[0], kinds[1]};
    Scene scene;
    switch (expression.form) {
      case ExpressionForm::kName:
        scene = stage_.arrange(rng, {kinds, {}, {}});
        expression.text = fmt::format("the {}", name_of_kind(kinds[0]));
        break;
      case ExpressionForm::kSize: {
        const bool large = toss(rng);
        scene = stage_.arrange(rng, {twice, std::vector<bool>{large, !large, toss(rng)}, {}});
        expression.text = fmt::format("the {}", sized(scene.objects[0]));
        break;
      }
      case ExpressionForm::kRelation:
        do scene = stage_.arrange(rng, {twice, {}, {}});
        while (scene.objects[0].row == scene.objects[1].row);
        expression.text = fmt::format("the {} {}", scene.objects[0].row < scene.objects[1].row ? "upper" : "lower",
                                      name_of_kind(kinds[0]));
        break;
    }
    expression.picture = keep(std::move(scene), "ref", i);
    split_.expressions.push_back(std::move(expression));
  }

  const Stage& stage_;
  std::vector<Kinds> members_;  // by kAskedCategories
  std::uint64_t number_;
  std::int64_t count_;
  std::uint64_t seed_;
  SceneSplit split_;
  std::set<std::string> relations_;
};

}  // namespace

void require_full_cast(const SceneCast& cast, const std::string& where) {
  if (cast.concepts.size() < kStatementKinds) {
    throw DataError(where,
                    fmt::format("only {} things have a plain name and drawings by all artists; scenes need {}",
                                cast.concepts.size(), kStatementKinds),
                    kSourcesRemedy);
  }
  const std::vector<Kinds> members = asked_members(cast);
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (members[i].empty()) {
      throw DataError(where,
                      fmt::format("no drawing is of the kind \"{}\", which questions ask for", kAskedCategories[i]),
                      kSourcesRemedy);
    }
  }
}

SceneSplit plan_split(const Stage& stage, const std::string& name, std::uint64_t number, std::int64_t count,
                      std::uint64_t seed) {
  VICHA_ASSERT(count % kSceneCycle == 0);
  return SplitPlanner(stage, name, number, count, seed).plan();
}

}  // namespace vicha::demo
