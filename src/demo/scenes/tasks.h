// Five tasks on scenes, whose labels follow from the objects by rule. What a reader without eyes could guess from is
// balanced: answers are drawn before the scenes that they are right of, each statement about two pictures comes with
// both labels, and the same hypotheses come with all three.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "config/choice.h"
#include "demo/scenes/scene.h"

namespace vicha::demo {

enum class QuestionForm { kExist, kCategory, kCount, kAbove, kSize, kMore };
inline constexpr Choice<QuestionForm> kQuestionForms[] = {
    {"exist", QuestionForm::kExist}, {"category", QuestionForm::kCategory}, {"count", QuestionForm::kCount},
    {"above", QuestionForm::kAbove}, {"size", QuestionForm::kSize},         {"morefew", QuestionForm::kMore}};

enum class StatementForm { kBoth, kTotal, kMore, kExactlyOne };
inline constexpr Choice<StatementForm> kStatementForms[] = {{"both", StatementForm::kBoth},
                                                            {"total", StatementForm::kTotal},
                                                            {"more", StatementForm::kMore},
                                                            {"onlyone", StatementForm::kExactlyOne}};

enum class HypothesisForm { kSize, kExist };
inline constexpr Choice<HypothesisForm> kHypothesisForms[] = {{"size", HypothesisForm::kSize},
                                                              {"exist", HypothesisForm::kExist}};

enum class Entailment { kEntailment, kNeutral, kContradiction };
inline constexpr Choice<Entailment> kEntailments[] = {{"entailment", Entailment::kEntailment},
                                                      {"neutral", Entailment::kNeutral},
                                                      {"contradiction", Entailment::kContradiction}};

enum class ExpressionForm { kName, kSize, kRelation };
inline constexpr Choice<ExpressionForm> kExpressionForms[] = {
    {"name", ExpressionForm::kName}, {"size", ExpressionForm::kSize}, {"rel", ExpressionForm::kRelation}};

struct ScenePicture {
  std::string name;  ///< path below images/: "scenes/train/vqa_00000.jpg"
  Scene scene;
};

// `picture`, `first`, `second`: positions in SceneSplit::pictures.

/// What a picture is retrieved by: where things are to each other, and a list of them.
struct SceneCaptions {
  std::size_t picture = 0;
  std::string relation, list;
};

struct Question {
  std::size_t picture = 0;
  QuestionForm form = QuestionForm::kExist;
  std::string text, answer;
};

/// NLVR2's form.
struct Statement {
  std::size_t first = 0, second = 0;
  StatementForm form = StatementForm::kBoth;
  std::string text;
  bool holds = false;
};

/// Visual entailment. A card hides an object now and then: what could be under it is neutral.
struct Hypothesis {
  std::size_t picture = 0;
  HypothesisForm form = HypothesisForm::kSize;
  std::string text;
  Entailment label = Entailment::kEntailment;
  bool covered = false;  ///< whether the picture has a card
};

/// A referring expression, which fits the picture's first object alone.
struct Expression {
  std::size_t picture = 0;
  ExpressionForm form = ExpressionForm::kName;
  std::string text;
};

/// In the order of --scenes-count.
inline constexpr const char* kSceneSplits[] = {"train", "val", "test"};

struct SceneSplit {
  std::string name;  ///< "train"
  std::vector<ScenePicture> pictures;
  std::vector<SceneCaptions> captions;
  std::vector<Question> questions;
  std::vector<Statement> statements;
  std::vector<Hypothesis> hypotheses;
  std::vector<Expression> expressions;
};

/// Forms, labels and cards come in turn; this many records have each combination equally often.
inline constexpr std::int64_t kSceneCycle = 12;

/// Throws DataError, with `where` for the place, unless the cast is enough to fill scenes and to ask about them.
void require_full_cast(const SceneCast& cast, const std::string& where);

/// `count` records of each task. Every record has draws of its own, which depend on the seed, the split's number, the
/// task and its own number alone. Throws UsageError if there are not that many
/// different captions.
SceneSplit plan_split(const Stage& stage, const std::string& name, std::uint64_t number, std::int64_t count,
                      std::uint64_t seed);

}  // namespace vicha::demo
