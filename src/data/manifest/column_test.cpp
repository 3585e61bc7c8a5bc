#include "data/manifest/column.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/manifest/data_test_support.h"
#include "data/manifest/manifest.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

/// A manifest of these records, which hold an image and the column's fields.
Manifest load_columns(const TemporaryFolder& folder, const std::vector<ColumnSpec>& columns, std::string_view records) {
  return Manifest::load({folder.write("m.json", records)}, {.schema = {.caption = false, .columns = columns}});
}

TEST(Columns, ImageIsNumberedAmongAllImages) {
  const TemporaryFolder folder;
  const Manifest m =
      load_columns(folder, {{.field = "image2", .type = ColumnType::kImage}},
                   R"([{"image": "a.png", "image2": "sub/b.png"}, {"image": "sub/b.png", "image2": "c.png"}])");
  const auto& second = m.column<ImageColumn>("image2");
  EXPECT_EQ(m.image_file(second[0]), (folder / "sub/b.png").string());
  EXPECT_EQ(second[0], m.image_number(1));
  EXPECT_EQ(m.image_count(), 3);
  EXPECT_EQ(m.image_numbers(1), (std::vector<std::int64_t>{1, 2}));
}

TEST(Columns, ImageFollowsTheManifestsOptions) {
  const TemporaryFolder folder;
  const fs::path file = folder.write("m.json", R"([{"image": "/x/y/a.png", "image2": "/x/y/b.png"}])");
  const Schema schema{.caption = false, .columns = {{.field = "image2", .type = ColumnType::kImage}}};
  const Manifest m = Manifest::load({file}, {.image_root = "/mine", .strip_parts = 2, .schema = schema});
  EXPECT_EQ(m.image_file(m.column<ImageColumn>("image2")[0]), "/mine/y/b.png");
  folder.write("m.json", R"([{"image": "/x/y/a.png", "image2": "b.png"}])");
  const std::string message = message_of([&] { Manifest::load({file}, {.strip_parts = 2, .schema = schema}); });
  EXPECT_TRUE(contains(message, "\"image2\"")) << message;
  EXPECT_TRUE(contains(message, "data.strip_parts")) << message;
}

TEST(Columns, Text) {
  const TemporaryFolder folder;
  const Manifest m = load_columns(folder, {{.field = "question", .type = ColumnType::kText}},
                                  R"([{"image": "a", "question": "is it \u00e4?"}, {"image": "b", "question": ""}])");
  EXPECT_EQ(m.column<TextColumn>("question")[0], "is it ä?");
  EXPECT_EQ(m.column<TextColumn>("question")[1], "");
  EXPECT_EQ(m.caption_count(0), 0);
  EXPECT_ANY_THROW(m.column<TextColumn>("other"));
  EXPECT_ANY_THROW(m.column<IdColumn>("question"));
}

TEST(Columns, AnswersHaveWeights) {
  const TemporaryFolder folder;
  const Manifest m =
      load_columns(folder, {{.field = "answer", .type = ColumnType::kAnswers, .beside = "weight"}},
                   R"([{"image": "a", "answer": ["yes", "no"], "weight": [0.75, 0.25]}, {"image": "a", "answer": "no"},
          {"image": "a", "answer": ["no", "maybe", "no", "no"]}])");
  const auto& answers = m.column<AnswersColumn>("answer");
  const std::vector<Answer> first = answers[0], third = answers[2];
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].text, "yes");
  EXPECT_EQ(first[0].weight, 0.75f);
  EXPECT_EQ(first[1].weight, 0.25f);
  ASSERT_EQ(answers[1].size(), 1u);
  EXPECT_EQ(answers[1][0].weight, 1.0f);
  EXPECT_EQ(answers[1][0].number, first[1].number);
  ASSERT_EQ(third.size(), 2u) << "equal ones are joined";
  EXPECT_EQ(third[0].text, "no");
  EXPECT_EQ(third[0].weight, 0.75f);
  EXPECT_EQ(third[1].weight, 0.25f);
  EXPECT_EQ(answers.answer_count(), 3);
  EXPECT_EQ(answers.answer(third[1].number), "maybe");
}

TEST(Columns, LabelsAreNumbersOrNames) {
  const TemporaryFolder folder;
  const Manifest numbers = load_columns(folder, {{.field = "label", .type = ColumnType::kLabel}},
                                        R"([{"image": "a", "label": 3}, {"image": "a", "label": 0}])");
  EXPECT_EQ(numbers.column<LabelColumn>("label")[0], 3);
  EXPECT_EQ(numbers.column<LabelColumn>("label")[1], 0);
  const Manifest names =
      load_columns(folder, {{.field = "label", .type = ColumnType::kLabel, .values = {"neutral", "entailment"}}},
                   R"([{"image": "a", "label": "entailment"}, {"image": "a", "label": 0}])");
  EXPECT_EQ(names.column<LabelColumn>("label")[0], 1);
  EXPECT_EQ(names.column<LabelColumn>("label")[1], 0);
}

TEST(Columns, Boxes) {
  const TemporaryFolder folder;
  const Manifest m = load_columns(
      folder,
      {{.field = "bbox", .type = ColumnType::kBox},
       {.field = "candidates", .type = ColumnType::kBoxes, .beside = "scores"}},
      R"([{"image": "a", "bbox": [1, 2.5, 3, 4e1], "candidates": [[0, 0, 1, 1], [-1, 2, 3, 4]], "scores": [0.5, 2]},
          {"image": "a", "bbox": [0, 0, 1, 1], "candidates": []}, {"image": "a", "bbox": [0, 0, 1, 1], "candidates": [[5, 6, 7, 8]]}])");
  const FloatBox& box = m.column<BoxColumn>("bbox")[0];
  EXPECT_EQ(box.x, 1.0f);
  EXPECT_EQ(box.y, 2.5f);
  EXPECT_EQ(box.width, 3.0f);
  EXPECT_EQ(box.height, 40.0f);
  const auto& candidates = m.column<BoxesColumn>("candidates");
  const Boxes first = candidates[0];
  ASSERT_EQ(first.boxes.size(), 2u);
  EXPECT_EQ(first.boxes[1].x, -1.0f);
  EXPECT_EQ(first.boxes[1].height, 4.0f);
  EXPECT_EQ(first.scores, (std::vector<float>{0.5f, 2.0f}));
  EXPECT_TRUE(candidates[1].boxes.empty());
  EXPECT_EQ(candidates[2].boxes[0].width, 7.0f);
  EXPECT_TRUE(candidates[2].scores.empty());
}

TEST(Columns, IdsKeepTheirKind) {
  const TemporaryFolder folder;
  const Manifest m = load_columns(folder, {{.field = "question_id", .type = ColumnType::kId}},
                                  R"([{"image": "a", "question_id": 18446744073709551615},
                                      {"image": "a", "question_id": "12"}, {"image": "a", "question_id": 12},
                                      {"image": "a", "question_id": -7}, {"image": "a", "question_id": "12"}])");
  const auto& ids = m.column<IdColumn>("question_id");
  EXPECT_EQ(ids[0].text, "18446744073709551615");
  EXPECT_TRUE(ids[0].integer);
  EXPECT_EQ(ids[1].text, "12");
  EXPECT_FALSE(ids[1].integer);
  EXPECT_NE(ids[1].number, ids[2].number);
  EXPECT_EQ(ids[1].number, ids[4].number);
  EXPECT_EQ(ids[3].text, "-7");
}

TEST(Columns, TagsMayHaveGaps) {
  const TemporaryFolder folder;
  const Manifest m =
      load_columns(folder, {{.field = "tags", .type = ColumnType::kTags}},
                   R"([{"image": "a", "tags": ["cat", null, "dog", "cat"]}, {"image": "b", "tags": [null]},
          {"image": "c", "tags": ["a fish", "dog"]}])");
  const auto& tags = m.column<TagsColumn>("tags");
  ASSERT_EQ(tags.tag_count(), 3);
  EXPECT_EQ(tags[0], (std::vector<std::int64_t>{0, -1, 1, 0}));
  EXPECT_EQ(tags[1], (std::vector<std::int64_t>{-1}));
  EXPECT_EQ(tags[2], (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(tags.tag(2), "a fish");
}

TEST(Columns, OptionalOnesMayBeMissing) {
  const TemporaryFolder folder;
  std::vector<ColumnSpec> specs;
  const ColumnType types[] = {ColumnType::kImage, ColumnType::kText,  ColumnType::kAnswers, ColumnType::kLabel,
                              ColumnType::kBox,   ColumnType::kBoxes, ColumnType::kId,      ColumnType::kTags};
  for (const ColumnType type : types) {
    specs.push_back({.field = fmt::format("c{}", specs.size()), .type = type, .required = false});
  }
  const Manifest m = load_columns(
      folder, specs,
      R"([{"image": "a"}, {"image": "a", "c0": "b", "c1": "", "c2": "x", "c3": 0, "c4": [0, 0, 1, 1], "c5": [], "c6": 0, "c7": [null]},
          {"image": "a"}])");
  const Column* columns[] = {&m.column<ImageColumn>("c0"), &m.column<TextColumn>("c1"), &m.column<AnswersColumn>("c2"),
                             &m.column<LabelColumn>("c3"), &m.column<BoxColumn>("c4"),  &m.column<BoxesColumn>("c5"),
                             &m.column<IdColumn>("c6"),    &m.column<TagsColumn>("c7")};
  for (const Column* column : columns) {
    for (std::int64_t record = 0; record < 3; ++record) {
      EXPECT_EQ(column->has(record), record == 1) << column->spec().field << record;
    }
  }
  EXPECT_EQ(m.image_numbers(0), std::vector<std::int64_t>{0});
  EXPECT_ANY_THROW(m.column<TextColumn>("c1")[0]);
  EXPECT_ANY_THROW(m.column<BoxColumn>("c4")[2]);
}

struct WrongColumn {
  ColumnType type;
  std::string value, what;
};

class WrongColumns : public ::testing::TestWithParam<WrongColumn> {};

TEST_P(WrongColumns, AreRefusedWithFileRecordFieldAndWhatWasFound) {
  const TemporaryFolder folder;
  const WrongColumn& wrong = GetParam();
  ColumnSpec spec{.field = "f", .type = wrong.type};
  if (wrong.type == ColumnType::kAnswers || wrong.type == ColumnType::kBoxes) spec.beside = "beside";
  if (wrong.what.find("one of") != std::string::npos) spec.values = {"yes", "no"};
  // Members, each a value of "f" and perhaps of "beside".
  const std::string record =
      wrong.value.empty() ? R"({"image": "a"})" : fmt::format(R"({{"image": "a", "f": {}}})", wrong.value);
  const fs::path file = folder.write("m.json", "[" + record + "]");
  const Schema schema{.caption = false, .columns = {spec}};
  const std::string message = message_of([&] { Manifest::load({file}, {.schema = schema}); });
  EXPECT_TRUE(contains(message, file.string() + ", record 0")) << message;
  EXPECT_TRUE(contains(message, "\"f\" " + wrong.what)) << message;
  // The same of one record among others: the rest is kept, in every column.
  spec.required = false;
  folder.write("m.json", R"([{"image": "x"}, )" + record + R"(, {"image": "y"}])");
  std::vector<std::string> fields;
  const Manifest m = Manifest::load({file}, {.schema = {.caption = false, .columns = {spec}}},
                                    [&](const ManifestProblem& problem) { fields.push_back(problem.field); });
  if (wrong.value.empty()) {
    EXPECT_EQ(m.size(), 3);
  } else {
    EXPECT_EQ(m.size(), 2);
    EXPECT_EQ(fields, std::vector<std::string>{"f"});
    EXPECT_EQ(m.number_in_file(1), 2);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Each, WrongColumns,
    ::testing::Values(
        WrongColumn{ColumnType::kText, "", "is missing"}, WrongColumn{ColumnType::kBoxes, "", "is missing"},
        WrongColumn{ColumnType::kImage, "5", "is 5, not a string that names a file"},
        WrongColumn{ColumnType::kImage, R"("")", R"(is "", not a string that names)"},
        WrongColumn{ColumnType::kText, "null", "is null, not a string"},
        WrongColumn{ColumnType::kText, R"(["x"])", "is a list of 1, not a string"},
        WrongColumn{ColumnType::kText, "true", "is true or false, not a string"},
        WrongColumn{ColumnType::kAnswers, "7", "is 7, not a string or a list"},
        WrongColumn{ColumnType::kAnswers, "[]", "is an empty list"},
        WrongColumn{ColumnType::kAnswers, R"(["a", 1])", "holds 1, where only strings may be"},
        WrongColumn{ColumnType::kAnswers, R"(["a", "b"], "beside": [1])",
                    R"(has 2 values, but field "beside" is a list of 1)"},
        WrongColumn{ColumnType::kAnswers, R"(["a"], "beside": 1)", R"(has 1 values, but field "beside" is 1)"},
        WrongColumn{ColumnType::kAnswers, R"(["a"], "beside": ["x"])", R"(has beside it a field "beside" with "x")"},
        WrongColumn{ColumnType::kAnswers, R"(["a"], "beside": [-1])", R"(has beside it a field "beside" with a neg)"},
        WrongColumn{ColumnType::kLabel, "-1", "is -1, not an integer from 0"},
        WrongColumn{ColumnType::kLabel, "1.5", "is a real number, not an integer from 0"},
        WrongColumn{ColumnType::kLabel, "2147483648", "is 2147483648, not an integer from 0"},
        WrongColumn{ColumnType::kLabel, R"("yes")", R"(is "yes", not an integer from 0)"},
        WrongColumn{ColumnType::kLabel, R"("maybe")", R"(is "maybe", not one of "yes", "no")"},
        WrongColumn{ColumnType::kLabel, "2", R"(is 2, not one of "yes", "no")"},
        WrongColumn{ColumnType::kBox, "[1, 2, 3]", "is a list of 3, not [x, y, width, height]"},
        WrongColumn{ColumnType::kBox, R"([1, 2, 3, "4"])", R"(is [x, y, width, height] with "4" in it)"},
        WrongColumn{ColumnType::kBox, "[1, 2, 0, 4]", "is the box [1,2,0,4], which has no area"},
        WrongColumn{ColumnType::kBox, "[1, 2, 3, 1e300]", "is a box with a number that is too large"},
        WrongColumn{ColumnType::kBoxes, "{}", "is an object, not a list of [x, y, width, height]"},
        WrongColumn{ColumnType::kBoxes, "[[1, 2, 3, 4], 5]", "holds 5, not [x, y, width, height]"},
        WrongColumn{ColumnType::kBoxes, R"([[1, 2, 3, 4]], "beside": [])",
                    R"(has 1 values, but field "beside" is a list of 0)"},
        WrongColumn{ColumnType::kId, "1.5", "is a real number, not a string or an integer"},
        WrongColumn{ColumnType::kId, "[1]", "is a list of 1, not a string or an integer"},
        WrongColumn{ColumnType::kTags, R"("cat")", R"(is "cat", not a list of strings and nulls)"},
        WrongColumn{ColumnType::kTags, "[]", "is an empty list"},
        WrongColumn{ColumnType::kTags, R"(["cat", 3])", "holds 3, where only strings and null may be"},
        WrongColumn{ColumnType::kTags, R"(["cat", ""])", "holds an empty tag: null stands for none"},
        WrongColumn{ColumnType::kTags, R"(["cat", "  "])", "holds an empty tag: null stands for none"}));

TEST(Columns, LetRecordsDoWithoutCaptionsOnlyWhereTheSchemaSaysSo) {
  const TemporaryFolder folder;
  const fs::path file = folder.write("m.json", R"([{"image": "a", "f": "x"}])");
  const std::vector<ColumnSpec> columns = {{.field = "f", .type = ColumnType::kText}};
  EXPECT_TRUE(contains(message_of([&] { Manifest::load({file}, {.schema = {.columns = columns}}); }), "\"caption\""));
  EXPECT_EQ(Manifest::load({file}, {.schema = {.caption = false, .columns = columns}}).size(), 1);
}

TEST(Columns, ImagesMayHaveConceptsOfTheirOwn) {
  const TemporaryFolder folder;
  const fs::path file = folder.write("m.json", R"([
    {"image": "a", "kwords": ["x"], "image2": "b", "kwords2": ["cat", "dog", "cat"]},
    {"image": "c", "kwords": [], "image2": "a", "kwords2": []}])");
  Schema schema{.caption = false,
                .concepts = true,
                .columns = {{.field = "image2", .type = ColumnType::kImage, .beside = "kwords2"}}};
  const Manifest m = Manifest::load({file}, {.schema = schema});
  EXPECT_EQ(m.further_images(), 1u);
  EXPECT_EQ(m.further_concepts(0, 0), (std::vector<std::string_view>{"cat", "dog", "cat"}));
  EXPECT_TRUE(m.further_concepts(1, 0).empty());
  folder.write("m.json", R"([{"image": "a", "kwords": ["x"], "image2": "b"}])");
  const std::string missing = message_of([&] { Manifest::load({file}, {.schema = schema}); });
  EXPECT_TRUE(contains(missing, "\"kwords2\" is missing")) << missing;
  schema.concepts = false;  // then nobody reads them
  EXPECT_TRUE(Manifest::load({file}, {.schema = schema}).further_concepts(0, 0).empty());
  folder.write("m.json", R"([{"image": "a", "kwords": ["x"], "image2": "b", "kwords2": "cat"}])");
  schema.concepts = true;
  EXPECT_NE(message_of([&] { Manifest::load({file}, {.schema = schema}); }), "");
}

TEST(Columns, RecordsOfNoClassAreLeftOutAndCounted) {
  const TemporaryFolder folder;
  const Manifest m =
      load_columns(folder, {{.field = "label", .type = ColumnType::kLabel, .values = {"no", "yes"}, .left_out = {"-"}}},
                   R"([{"image": "a", "label": "-"}, {"image": "b", "label": "yes"}, {"image": "c", "label": 0}])");
  EXPECT_EQ(m.size(), 2);
  EXPECT_EQ(m.left_out(), 1);
  EXPECT_EQ(m.column<LabelColumn>("label")[0], 1);
  EXPECT_EQ(m.number_in_file(0), 1);
}

TEST(Columns, RecordsOfWhichNoneHasAClassAreRefused) {
  const TemporaryFolder folder;
  const std::string message = message_of([&] {
    load_columns(folder, {{.field = "label", .type = ColumnType::kLabel, .values = {"no", "yes"}, .left_out = {"-"}}},
                 R"([{"image": "a", "label": "-"}, {"image": "b", "label": "-"}])");
  });
  EXPECT_TRUE(contains(message, "all 2 records have the label \"-\", so none can be learnt from or judged")) << message;
  EXPECT_TRUE(contains(message, "names a class")) << message;
}

}  // namespace
}  // namespace vicha
