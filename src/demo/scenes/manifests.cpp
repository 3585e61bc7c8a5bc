#include "demo/scenes/manifests.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "base/error.h"
#include "demo/demo_manifests.h"

namespace vicha::demo {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kAnswersOfAQuestion = 10;  // VQA's number of annotators
constexpr const char* kObjects = "objects.json";
constexpr const char* kBoxes = "dets.json";
constexpr const char* kAnswers = "answer_list.json";
constexpr const char* kStats = "stats.json";
constexpr const char* kTasks[] = {"retrieval", "vqa", "nlvr", "ve", "grounding"};

std::string path_of(const ScenePicture& picture) { return "images/" + picture.name; }

ordered_json box_json(const Box& box) { return {box.x, box.y, box.width, box.height}; }

/// An object of JSON with one member a line.
std::string members_text(const std::vector<std::pair<std::string, ordered_json>>& members) {
  std::string text = "{";
  for (std::size_t i = 0; i < members.size(); ++i) {
    text += (i > 0 ? ",\n" : "\n") + ordered_json(members[i].first).dump() + ": " + members[i].second.dump();
  }
  return text + "\n}\n";
}

/// Records of one split.
class SplitWriter {
 public:
  SplitWriter(const SceneCast& cast, const SceneSplit& split, DemoKwords kwords)
      : cast_(cast), split_(split), oracle_(kwords == DemoKwords::kOracle) {}

  /// As the retrieval set has them: training has a record a caption, else one a picture.
  Records retrieval() const {
    Records records;
    for (const auto& [picture, relation, list] : split_.captions) {
      ordered_json record = start(picture);
      record["caption"] = {relation, list};
      auto tags = ordered_json::array();
      for (const SceneObject& object : scene(picture).objects) tags.push_back(name(object));
      record["tags"] = std::move(tags);
      record["kwords"] = kwords(picture);
      if (split_.name != kSceneSplits[0]) {
        records.push_back(std::move(record));
        continue;
      }
      for (const std::string* caption : {&relation, &list}) {
        record["caption"] = *caption;
        records.push_back(record);
      }
    }
    return records;
  }

  Records vqa() const {
    Records records;
    for (const Question& question : split_.questions) {
      ordered_json record = start(question.picture);
      record["question"] = question.text;
      record["answer"] = std::vector<std::string>(kAnswersOfAQuestion, question.answer);
      record["question_id"] = records.size();
      record["question_type"] = name_of(kQuestionForms, question.form);
      record["dataset"] = "vqa";
      record["kwords"] = kwords(question.picture);
      records.push_back(std::move(record));
    }
    return records;
  }

  Records nlvr() const {
    Records records;
    for (const Statement& statement : split_.statements) {
      const ordered_json first = kwords(statement.first), second = kwords(statement.second);
      ordered_json both = first;
      both.insert(both.end(), second.begin(), second.end());
      ordered_json record;
      record["images"] = {path_of(split_.pictures[statement.first]), path_of(split_.pictures[statement.second])};
      record["sentence"] = statement.text;
      record["label"] = statement.holds ? "True" : "False";
      record["kwords"] = std::move(both);
      record["kwords1"] = first;
      record["kwords2"] = second;
      record["type"] = name_of(kStatementForms, statement.form);
      records.push_back(std::move(record));
    }
    return records;
  }

  /// The public files leave out the extension of SNLI-VE's pictures, all of which are JPEG files; with it, every other
  /// reader finds them too.
  Records entailment() const {
    Records records;
    for (const Hypothesis& hypothesis : split_.hypotheses) {
      ordered_json record = start(hypothesis.picture);
      record["sentence"] = hypothesis.text;
      record["label"] = name_of(kEntailments, hypothesis.label);
      record["kwords"] = kwords(hypothesis.picture);
      record["covered"] = hypothesis.covered;
      record["type"] = name_of(kHypothesisForms, hypothesis.form);
      records.push_back(std::move(record));
    }
    return records;
  }

  Records grounding() const {
    Records records;
    for (const Expression& expression : split_.expressions) {
      ordered_json record = start(expression.picture);
      record["text"] = expression.text;
      record["ref_id"] = records.size();
      record["bbox"] = box_json(scene(expression.picture).objects.front().box);
      record["width"] = kSceneSide;
      record["height"] = kSceneSide;
      record["type"] = name_of(kExpressionForms, expression.form);
      record["kwords"] = kwords(expression.picture);
      records.push_back(std::move(record));
    }
    return records;
  }

  void add_objects(std::vector<std::pair<std::string, ordered_json>>& members) const {
    for (const ScenePicture& picture : split_.pictures) {
      auto objects = ordered_json::array();
      for (const SceneObject& object : picture.scene.objects) {
        objects.push_back({{"name", name(object)},
                           {"category", cast_.concepts[object.kind].category},
                           {"size", object.large ? "large" : "small"},
                           {"bbox", box_json(object.box)},
                           {"hidden", object.hidden}});
      }
      members.emplace_back(path_of(picture), std::move(objects));
    }
  }

  /// Candidates of grounding, sorted, so that their order does not tell which is meant.
  void add_boxes(std::vector<std::pair<std::string, ordered_json>>& members) const {
    for (const Expression& expression : split_.expressions) {
      std::vector<std::vector<int>> boxes;
      for (const SceneObject& object : scene(expression.picture).objects) {
        boxes.push_back({object.box.x, object.box.y, object.box.width, object.box.height});
      }
      std::sort(boxes.begin(), boxes.end());
      members.emplace_back(path_of(split_.pictures[expression.picture]), boxes);
    }
  }

 private:
  const Scene& scene(std::size_t picture) const { return split_.pictures[picture].scene; }
  const std::string& name(const SceneObject& object) const { return cast_.concepts[object.kind].name; }

  ordered_json start(std::size_t picture) const {
    ordered_json record;
    record["image"] = path_of(split_.pictures[picture]);
    record["image_id"] = split_.pictures[picture].name;
    return record;
  }

  ordered_json kwords(std::size_t picture) const {
    auto names = ordered_json::array();
    if (!oracle_) return names;
    for (const SceneObject& object : scene(picture).objects) {
      if (!object.hidden) names.push_back(name(object));
    }
    return names;
  }

  const SceneCast& cast_;
  const SceneSplit& split_;
  bool oracle_;
};

/// Of all splits, as VQA's list has those of validation too.
std::set<std::string> answers_of(const std::vector<SceneSplit>& splits) {
  std::set<std::string> answers;
  for (const SceneSplit& split : splits) {
    for (const Question& question : split.questions) answers.insert(question.answer);
  }
  return answers;
}

ordered_json concepts_json(const SceneCast& cast) {
  std::map<std::string, std::int64_t> by_category;
  for (const SceneConcept& one : cast.concepts) ++by_category[one.category];
  const auto photos =
      std::count_if(cast.concepts.begin(), cast.concepts.end(), [](const SceneConcept& one) { return one.has_photo; });
  return {{"total", cast.concepts.size()}, {"with_photo", photos}, {"by_category", by_category}};
}

}  // namespace

std::vector<std::string> scene_file_names() {
  std::vector<std::string> names;
  for (const char* split : kSceneSplits) {
    for (const char* task : kTasks) names.push_back(std::string(task) + "_" + split + ".json");
  }
  for (const char* name : {kObjects, kBoxes, kAnswers, kStats}) names.emplace_back(name);
  return names;
}

SceneFiles scene_files(const SceneCast& cast, const std::vector<SceneSplit>& splits, DemoKwords kwords,
                       std::uint64_t seed) {
  VICHA_ASSERT(splits.size() == std::size(kSceneSplits));
  SceneFiles files;
  ordered_json stats = {{"seed", seed}};
  std::vector<std::pair<std::string, ordered_json>> objects, boxes;
  for (const SceneSplit& split : splits) {
    const SplitWriter writer(cast, split, kwords);
    const Records of_tasks[] = {writer.retrieval(), writer.vqa(), writer.nlvr(), writer.entailment(),
                                writer.grounding()};
    for (std::size_t i = 0; i < std::size(kTasks); ++i) {
      const std::string name = std::string(kTasks[i]) + "_" + split.name + ".json";
      const auto count = static_cast<std::int64_t>(of_tasks[i].size());
      stats[name] = count;
      files.records.emplace_back(name, count);
      files.texts.emplace_back(name, manifest_text(of_tasks[i]));
    }
    writer.add_objects(objects);
    writer.add_boxes(boxes);
  }
  const std::set<std::string> answers = answers_of(splits);
  files.texts.emplace_back(kObjects, members_text(objects));
  files.texts.emplace_back(kBoxes, members_text(boxes));
  files.texts.emplace_back(kAnswers, ordered_json(answers).dump(0) + "\n");
  stats["pictures"] = objects.size();
  stats["answers"] = answers.size();
  stats["scene_concepts"] = concepts_json(cast);
  files.figures = measure_figures(splits.front(), splits.back(), answers.size());
  for (const TaskFigures& task : files.figures) {
    for (const auto& [rule, rate] : task.rules) stats["blind_accuracy_percent"][rule] = rate;
    if (!task.rules.empty()) stats["blind"][task.task] = task.blind;
    stats["chance"][task.task] = task.chance;
  }
  files.texts.emplace_back(kStats, stats.dump(1) + "\n");
  return files;
}

}  // namespace vicha::demo
