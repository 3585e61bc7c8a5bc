#include "demo/scenes/tasks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"
#include "demo/scenes/judge_test_support.h"
#include "demo/scenes/manifests.h"
#include "demo/scenes/testing.h"

namespace vicha::demo {
namespace {

using nlohmann::json;

constexpr std::int64_t kCount = 240;

/// A set from the toy cast, as it would stand on disk.
struct SceneSet {
  explicit SceneSet(std::uint64_t seed, std::int64_t count = kCount, DemoKwords kwords = DemoKwords::kNone) {
    for (std::size_t i = 0; i < 3; ++i) {
      const Stage stage(toy.cast, toy.sprites, i > 0);
      splits.push_back(plan_split(stage, kSceneSplits[i], i, i == 0 ? count : 12, seed));
    }
    files = scene_files(toy.cast, splits, kwords, seed);
    for (const auto& [name, text] : files.texts) parsed[name] = json::parse(text);
  }

  /// Calls `check(record, its file)` for every record of a task.
  template <class Check>
  void each(const std::string& task, Check&& check) const {
    for (const char* split : kSceneSplits) {
      for (const json& record : parsed.at(task + "_" + split + ".json")) {
        SCOPED_TRACE(record.dump());
        check(record);
      }
    }
  }
  const json& train(const std::string& task) const { return parsed.at(task + "_train.json"); }
  const json& objects_of(const json& image) const { return parsed.at("objects.json").at(image.get<std::string>()); }

  ToyStage toy = toy_stage();
  std::vector<SceneSplit> splits;
  SceneFiles files;
  std::map<std::string, json> parsed;
};

const SceneSet& set_of_seed_0() {
  static const SceneSet set(0);
  return set;
}

/// Every label against what the objects say, with `turned` applied to them first.
void expect_right_labels(const SceneSet& set, const std::function<json(json)>& turned) {
  const auto objects_of = [&](const json& image) { return turned(set.objects_of(image)); };
  set.each("vqa", [&](const json& record) {
    const json& answers = record.at("answer");
    EXPECT_EQ(answers, json(std::vector<std::string>(10, answers[0].get<std::string>())));
    EXPECT_EQ(answers[0], right_answer(record.at("question"), objects_of(record.at("image"))));
  });
  set.each("nlvr", [&](const json& record) {
    const json& images = record.at("images");
    const bool holds = is_true(record.at("sentence"), objects_of(images[0]), objects_of(images[1]));
    EXPECT_EQ(record.at("label"), holds ? "True" : "False");
  });
  set.each("ve", [&](const json& record) {
    EXPECT_EQ(record.at("label"), right_label(record.at("sentence"), objects_of(record.at("image"))));
  });
  set.each("grounding", [&](const json& record) {
    const auto boxes = right_boxes(record.at("text"), objects_of(record.at("image")));
    ASSERT_EQ(boxes.size(), 1U);
    EXPECT_EQ(boxes[0], turned(json::array({{{"bbox", record.at("bbox")}}}))[0].at("bbox").get<std::vector<int>>());
  });
  set.each("retrieval", [&](const json& record) {
    const json& captions = record.at("caption");
    const json objects = objects_of(record.at("image"));
    if (captions.is_array()) {
      EXPECT_TRUE(relations_hold(captions[0], objects));
    }
    std::multiset<std::string> listed, there;
    for (const json& object : objects) there.insert(named(object));
    const std::string list = captions.is_array() ? captions[1].get<std::string>() : captions.get<std::string>();
    if (list.find(" above ") != std::string::npos || list.find(" beside ") != std::string::npos) {
      EXPECT_TRUE(relations_hold(list, objects));
      return;
    }
    for (const std::string& thing : parts_of(list, " and ")) listed.insert(without_article(thing));
    EXPECT_EQ(listed, there);
  });
}

TEST(Scenes, EveryLabelFollowsFromTheObjects) {
  expect_right_labels(set_of_seed_0(), [](json objects) { return objects; });
}

TEST(Scenes, PicturesMayBeFlipped) {
  expect_right_labels(set_of_seed_0(), [](json objects) {
    for (json& object : objects) {
      json& box = object.at("bbox");
      box[0] = kSceneSide - box[0].get<int>() - box[2].get<int>();
    }
    return objects;
  });
  for (const auto& [name, text] : set_of_seed_0().files.texts) {
    EXPECT_EQ(text.find("left"), std::string::npos) << name;
    EXPECT_EQ(text.find("right"), std::string::npos) << name;
  }
}

TEST(Scenes, ObjectsKeepToTheirCells) {
  for (const SceneSplit& split : set_of_seed_0().splits) {
    for (const auto& [name, scene] : split.pictures) {
      SCOPED_TRACE(name);
      EXPECT_GE(scene.objects.size(), 1U);
      EXPECT_LE(scene.objects.size(), 6U);
      std::set<std::pair<int, int>> cells;
      for (const SceneObject& object : scene.objects) {
        const Box& box = object.box;
        EXPECT_TRUE(cells.emplace(object.row, object.column).second);
        EXPECT_GE(box.x, object.column * kSceneCell);
        EXPECT_LE(box.x + box.width, (object.column + 1) * kSceneCell);
        EXPECT_GE(box.y, object.row * kSceneCell);
        EXPECT_LE(box.y + box.height, (object.row + 1) * kSceneCell);
        EXPECT_EQ(std::max(box.width, box.height), object.large ? 60 : 35);
      }
    }
  }
}

TEST(Scenes, DrawingsOfTrainingAreNeitherInValidationNorInTest) {
  const SceneSet& set = set_of_seed_0();
  for (std::size_t i = 0; i < set.splits.size(); ++i) {
    for (const auto& [name, scene] : set.splits[i].pictures) {
      for (const SceneObject& object : scene.objects) {
        const SceneConcept& thing = set.toy.cast.concepts[object.kind];
        const auto& allowed = i == 0 ? thing.training : thing.unseen;
        EXPECT_NE(std::find(allowed.begin(), allowed.end(), object.drawing), allowed.end()) << name;
      }
    }
  }
}

TEST(Scenes, QuestionsDoNotTellTheirAnswers) {
  std::map<std::string, std::map<std::string, int>> answers;
  for (const json& record : set_of_seed_0().train("vqa")) ++answers[record.at("question_type")][record.at("answer")[0]];
  ASSERT_EQ(answers.size(), 6U);
  for (const auto& [form, counts] : answers) {
    int total = 0;
    for (const auto& [answer, count] : counts) total += count;
    EXPECT_EQ(total, kCount / 6) << form;
    if (form == "above") continue;  // answers are names
    EXPECT_EQ(counts.size(), form == "count" ? 4U : 2U) << form;
    for (const auto& [answer, count] : counts) {
      EXPECT_GE(count, form == "count" ? 4 : 12) << form << ": " << answer;
    }
  }
}

TEST(Scenes, EachStatementIsTrueOnceAndFalseOnce) {
  std::map<std::string, std::map<std::string, int>> by_form;
  const json& records = set_of_seed_0().train("nlvr");
  ASSERT_EQ(records.size(), static_cast<std::size_t>(kCount));
  for (std::size_t i = 0; i < records.size(); i += 2) {
    EXPECT_EQ(records[i].at("sentence"), records[i + 1].at("sentence"));
    EXPECT_EQ(records[i].at("label"), "True");
    EXPECT_EQ(records[i + 1].at("label"), "False");
    ++by_form[records[i].at("type")]["all"];
  }
  for (const char* form : {"both", "total", "more", "onlyone"}) EXPECT_EQ(by_form[form]["all"], kCount / 8) << form;
}

TEST(Scenes, HypothesesHaveEachLabelInEachFormAlike) {
  std::map<std::string, int> cases;
  for (const json& record : set_of_seed_0().train("ve")) {
    ++cases[record.at("type").get<std::string>() + " " + record.at("label").get<std::string>()];
    ++cases[record.at("covered").get<bool>() ? "card" : "no card"];
  }
  for (const std::string form : {"exist", "size"}) {
    for (const std::string label : {"entailment", "neutral", "contradiction"}) {
      EXPECT_EQ(cases[form + " " + label], kCount / 6) << form << " " << label;
    }
  }
  EXPECT_EQ(cases["card"], kCount * 2 / 3);
}

TEST(Scenes, CandidateBoxesComeInAnOrderThatTellsNothing) {
  const SceneSet& set = set_of_seed_0();
  std::map<std::size_t, int> places;
  for (const json& record : set.train("grounding")) {
    const json& boxes = set.parsed.at("dets.json").at(record.at("image").get<std::string>());
    ASSERT_EQ(boxes.size(), 3U);
    EXPECT_TRUE(std::is_sorted(boxes.begin(), boxes.end()));
    const auto found = std::find(boxes.begin(), boxes.end(), record.at("bbox"));
    ASSERT_NE(found, boxes.end());
    ++places[static_cast<std::size_t>(found - boxes.begin())];
  }
  for (std::size_t place = 0; place < 3; ++place) EXPECT_NEAR(places[place], kCount / 3, kCount / 10) << place;
}

TEST(Scenes, NoCaptionOfRelationsComesTwice) {
  std::set<std::string> relations;
  for (const SceneCaptions& captions : set_of_seed_0().splits[0].captions) relations.insert(captions.relation);
  EXPECT_EQ(relations.size(), static_cast<std::size_t>(kCount));
  const SceneCast small{{{"fox", "animal", {0}, {0}, false},
                         {"ox", "animal", {0}, {0}, false},
                         {"egg", "food", {0}, {0}, false},
                         {"boat", "vehicle", {0}, {0}, false},
                         {"hat", "clothing", {0}, {0}, false}},
                        {Drawing{}}};
  EXPECT_THROW(require_full_cast(small, "sources"), DataError);
  EXPECT_NO_THROW(require_full_cast(set_of_seed_0().toy.cast, "sources"));
}

TEST(Scenes, OtherFilesAgreeWithTheManifests) {
  const SceneSet& set = set_of_seed_0();
  std::set<std::string> images, answers;
  for (const char* task : {"retrieval", "vqa", "ve", "grounding"}) {
    set.each(task, [&](const json& record) { images.insert(record.at("image").get<std::string>()); });
  }
  set.each("nlvr", [&](const json& record) {
    for (const json& image : record.at("images")) images.insert(image.get<std::string>());
  });
  set.each("vqa", [&](const json& record) { answers.insert(record.at("answer")[0].get<std::string>()); });
  EXPECT_EQ(images.size(), 6U * (kCount + 24));
  std::set<std::string> described;
  for (const auto& [image, objects] : set.parsed.at("objects.json").items()) described.insert(image);
  EXPECT_EQ(described, images);
  EXPECT_EQ(set.parsed.at("answer_list.json"), json(answers));
  EXPECT_EQ(set.parsed.at("stats.json").at("pictures"), images.size());
  EXPECT_EQ(set.parsed.at("stats.json").at("vqa_train.json"), kCount);
  std::vector<std::string> names = scene_file_names();
  EXPECT_EQ(names.size(), set.files.texts.size());
  for (const auto& [name, text] : set.files.texts) EXPECT_NE(std::find(names.begin(), names.end(), name), names.end());
}

TEST(Scenes, ConceptsAreOnlyGivenWhenAskedFor) {
  set_of_seed_0().each("vqa", [](const json& record) { EXPECT_EQ(record.at("kwords"), json::array()); });
  const SceneSet oracle(0, 12, DemoKwords::kOracle);
  oracle.each("ve", [&](const json& record) {
    EXPECT_EQ(record.at("kwords").size(), static_cast<std::size_t>(count_if(oracle.objects_of(record.at("image")),
                                                                            [](const json&) { return true; })));
  });
  oracle.each("nlvr", [](const json& record) {
    EXPECT_EQ(record.at("kwords").size(), record.at("kwords1").size() + record.at("kwords2").size());
  });
}

TEST(Scenes, FiguresAreThoseOfTheRules) {
  const json& stats = set_of_seed_0().parsed.at("stats.json");
  const json& rules = stats.at("blind_accuracy_percent");
  EXPECT_EQ(rules.at("nlvr2_sentence"), 50.0);
  EXPECT_EQ(rules.at("entailment_card_and_form"), 58.3);  // 7 of 12, whatever is drawn
  EXPECT_EQ(rules.at("grounding_random_box"), 33.3);
  EXPECT_EQ(rules.at("grounding_text_and_boxes_name"), 33.3);
  EXPECT_GT(rules.at("grounding_text_and_boxes_size"), 60.0);
  EXPECT_EQ(stats.at("chance").at("entailment"), 33.3);
  EXPECT_EQ(stats.at("chance").at("retrieval"), 8.3);
  EXPECT_EQ(stats.at("blind").at("entailment"), 58.3);
  EXPECT_EQ(stats.at("blind").at("grounding"), rules.at("grounding_text_and_boxes"));
}

/// Texts and pixels of a set.
std::string digest_of(const SceneSet& set) {
  std::string all;
  for (const auto& [name, text] : set.files.texts) all += name + text;
  for (const SceneSplit& split : set.splits) {
    for (const ScenePicture& picture : split.pictures) {
      const Image image = paint(picture.scene, set.toy.sprites);
      all.append(reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size());
    }
  }
  return sha256_hex(all);
}

TEST(Scenes, TheSameSeedGivesTheSameBitsEverywhere) {
  EXPECT_EQ(digest_of(SceneSet(0, 12)), "471c882cd618c4c4dab88336bffb34debfa478cad114cca03aa5e85696c9e40f");
  EXPECT_EQ(digest_of(SceneSet(7, 12)), digest_of(SceneSet(7, 12)));
  EXPECT_NE(digest_of(SceneSet(7, 12)), digest_of(SceneSet(0, 12)));
  // More records leave those that are there as they are.
  const SceneSet more(0, 24);
  EXPECT_EQ(more.train("vqa")[5], SceneSet(0, 12).train("vqa")[5]);
}

TEST(Scenes, ACardHidesWhatIsUnderIt) {
  const ToyStage toy = toy_stage();
  const Stage stage(toy.cast, toy.sprites, false);
  Rng rng(3);
  const Scene scene = stage.arrange(rng, {{1, 2, 3}, {}, 1});
  EXPECT_TRUE(scene.objects[1].hidden);
  const Image image = paint(scene, toy.sprites);
  const auto pixel = [&](int x, int y) {
    const std::uint8_t* p = image.row(y) + std::ptrdiff_t{3} * x;
    return std::vector<int>{p[0], p[1], p[2]};
  };
  const int left = scene.objects[1].column * kSceneCell, top = scene.objects[1].row * kSceneCell;
  for (int y = 3; y < kSceneCell - 3; ++y) {
    for (int x = 3; x < kSceneCell - 3; ++x) ASSERT_EQ(pixel(left + x, top + y), (std::vector<int>{120, 120, 120}));
  }
  EXPECT_EQ(pixel(left + 2, top + 2), (std::vector<int>{60, 60, 60}));
  EXPECT_EQ(pixel(left + 61, top + 61), (std::vector<int>{60, 60, 60}));
  EXPECT_NE(pixel(left + 62, top + 62), (std::vector<int>{60, 60, 60}));
}

}  // namespace
}  // namespace vicha::demo
