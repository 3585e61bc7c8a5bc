#include "data/pipeline/evaluation.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "data/manifest/data_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

class EvaluationTest : public ::testing::Test {
 protected:
  EvaluationTest() {
    for (int i = 0; i < 5; ++i) folder_.write(fmt::format("{}.png", i), noise_png(static_cast<std::uint64_t>(i)));
    options_.transform.image_res = 16;
    options_.workers = 3;
  }

  std::shared_ptr<const EvaluationSet> set(std::string_view manifest, const EvaluationPadding& padding = {}) {
    const fs::path file = folder_.write("m.json", manifest);
    return std::make_shared<const EvaluationSet>(
        std::make_shared<const Manifest>(Manifest::load({file}, options_.manifest_options())), small_tokenizer(),
        options_, padding);
  }

  TemporaryFolder folder_;
  DataOptions options_;
};

constexpr std::string_view kManifest = R"([
  {"image": "0.png", "caption": ["a cat", "red dog"], "kwords": ["cat", "dogs"]},
  {"image": "1.png", "caption": ["a dog sits"], "kwords": []},
  {"image": "2.png", "caption": "cat", "kwords": ["red"]},
  {"image": "0.png", "caption": "again", "kwords": ["cat", "dogs"]},
  {"image": "3.png", "caption": "x", "kwords": ["a"]}])";

TEST_F(EvaluationTest, KeepsTheOrderAndGathersAImagesCaptions) {
  const auto s = set(kManifest);
  ASSERT_EQ(s->image_count(), 4);
  ASSERT_EQ(s->caption_count(), 6);
  EXPECT_EQ(s->caption_images(), (std::vector<std::int64_t>{0, 0, 0, 1, 2, 3}));
  EXPECT_EQ(s->caption(1), "red dog");
  EXPECT_EQ(s->caption(2), "again");
  EXPECT_EQ(s->image_path(3), (folder_ / "3.png").string());
}

TEST_F(EvaluationTest, PadsAsAsked) {
  const auto s = set(kManifest);
  const Tokens text = s->captions(0, 6);
  EXPECT_EQ(text.ids.sizes(), (at::IntArrayRef{6, 25}));
  EXPECT_EQ(text.lengths[0], 3);
  EXPECT_EQ(text.ids[0][0].item<std::int64_t>(), 2);
  EXPECT_EQ(text.ids[0][3].item<std::int64_t>(), 0);
  EXPECT_EQ(s->concepts(0, 4).ids.sizes(), (at::IntArrayRef{4, 55}));
  EXPECT_EQ(s->concepts(0, 4).lengths, (std::vector<std::int64_t>{4, 1, 2, 2}));
  EXPECT_EQ(set(kManifest, {.text = 0, .concepts = 0})->captions(3, 1).ids.size(1), 4);
}

TEST_F(EvaluationTest, FoundConceptsTakeThePlaceOfTheManifests) {
  const fs::path file = folder_.write("m.json", kManifest);
  EvaluationSet s(std::make_shared<const Manifest>(Manifest::load({file}, options_.manifest_options())),
                  small_tokenizer(), options_, {.text = 0, .concepts = 0});
  const Tokens before = s.concepts(0, 4);
  s.set_concepts({{"red"}, {"cat", "dogs"}, {}, {"a"}});
  const Tokens found = s.concepts(0, 4);
  EXPECT_EQ(found.lengths, (std::vector<std::int64_t>{2, before.lengths[0], 1, 2}));
  EXPECT_TRUE(at::equal(found.ids[1], before.ids[0]));
}

TEST_F(EvaluationTest, GivesEveryImageOnceWithoutChance) {
  const auto s = set(kManifest);
  const ImageTransform transform(options_.transform);
  EvaluationImages images(s, 3);
  std::int64_t seen = 0;
  while (const std::optional<Batch> batch = images.next()) {
    ASSERT_EQ(batch->image.size(0), seen == 0 ? 3 : 1);
    EXPECT_EQ(batch->concepts.ids.size(0), batch->image.size(0));
    EXPECT_FALSE(batch->text.defined());
    for (std::int64_t i = 0; i < batch->image.size(0); ++i, ++seen) {
      EXPECT_EQ(batch->image_ids[i].item<std::int64_t>(), seen);
      EXPECT_EQ(batch->records[static_cast<std::size_t>(i)], s->image_record(seen));
      at::Tensor expected = at::empty({3, 16, 16});
      transform.evaluate(load_rgb(s->image_path(seen)), {expected.data_ptr<float>(), transform.size()});
      EXPECT_TRUE(at::equal(batch->image[i], expected));
    }
  }
  EXPECT_EQ(seen, 4);
  EvaluationImages part(s, 2, 1, 3);
  EXPECT_EQ(part.next()->image_ids[0].item<std::int64_t>(), 1);
  EXPECT_FALSE(part.next());
}

TEST_F(EvaluationTest, StopsAtAImageThatCannotBeRead) {
  fs::rename(folder_ / "2.png", folder_ / "2.PNG");
  EvaluationImages images(set(kManifest), 2);
  EXPECT_TRUE(images.next());
  const std::string message = message_of([&] { images.next(); });
  EXPECT_TRUE(contains(message, (folder_ / "2.png").string())) << message;
  EXPECT_TRUE(message.starts_with((folder_ / "m.json").string() + ", record 2: the picture cannot be read")) << message;
  EXPECT_TRUE(contains(message, "\"2.PNG\": the names differ in upper and lower case")) << message;
  EXPECT_TRUE(contains(message, "--image-root")) << message;
  EXPECT_TRUE(contains(message, "vicha data prune")) << message;
}

TEST_F(EvaluationTest, GroupsByFileWhereIdsDisagreeAndSaysSoOnce) {
  std::vector<std::string> warnings;
  log::set_sink([&](log::Level level, std::string_view line) {
    if (level == log::Level::kWarning) warnings.emplace_back(line);
  });
  fs::create_symlink("1.png", folder_ / "link.png");
  const auto s = set(R"([
    {"image": "0.png", "caption": "a", "kwords": [], "image_id": 1},
    {"image": "./0.png", "caption": "b", "kwords": [], "image_id": "1"},
    {"image": "1.png", "caption": "c", "kwords": [], "image_id": 5},
    {"image": "2.png", "caption": "d", "kwords": [], "image_id": 5},
    {"image": ".//0.png", "caption": "e", "kwords": []},
    {"image": "link.png", "caption": "f", "kwords": [], "image_id": 9}])");
  log::set_sink({});
  EXPECT_EQ(s->image_count(), 3);
  EXPECT_EQ(s->caption_images(), (std::vector<std::int64_t>{0, 0, 0, 1, 1, 2}));
  EXPECT_EQ(s->caption(2), "e");
  EXPECT_EQ(s->caption(4), "f");
  EXPECT_EQ(s->caption(5), "d");
  ASSERT_EQ(warnings.size(), 3u);
  EXPECT_TRUE(contains(warnings[0], "1 pictures have several image_ids")) << warnings[0];
  EXPECT_TRUE(contains(warnings[0], "image_id 1 in ")) << warnings[0];
  EXPECT_TRUE(contains(warnings[1], "1 image_ids stand for several files")) << warnings[1];
  EXPECT_TRUE(contains(warnings[2], "link.png is " + (folder_ / "1.png").string())) << warnings[2];
}

TEST_F(EvaluationTest, QuestionsMayBeAboutSeveralPictures) {
  const fs::path file = folder_.write("m.json", R"([
    {"image": "1.png", "kwords": ["cat"], "image2": "0.png", "kwords2": ["red", "dog"], "question": "a-dog  sits? "},
    {"image": "0.png", "kwords": ["red", "dog"], "image2": "2.png", "kwords2": ["a", "b", "c"], "question": "cat"},
    {"image": "1.png", "kwords": ["cat"], "image2": "2.png", "kwords2": ["a", "b", "c"], "question": "red"}])");
  const Schema schema{.caption = false,
                      .columns = {{.field = "image2", .type = ColumnType::kImage, .beside = "kwords2"},
                                  {.field = "question", .type = ColumnType::kText}},
                      .text = {.field = "question", .cleaning = TextCleaning::kQuestion, .max_tokens = 3}};
  const auto set = std::make_shared<const EvaluationSet>(
      std::make_shared<const Manifest>(Manifest::load({file}, options_.manifest_options(schema))), small_tokenizer(),
      options_, EvaluationPadding{.text = 0, .concepts = EvaluationPadding::kLongestOfSet});
  ASSERT_EQ(set->image_count(), 3);
  EXPECT_EQ(set->image_path(1), (folder_ / "0.png").string()) << "numbered as the manifest names them";
  ASSERT_EQ(set->caption_count(), 3);
  EXPECT_EQ(set->caption(1), "red") << "texts of one first picture follow each other";
  EXPECT_EQ(set->caption_record(1), 2);
  EXPECT_EQ(set->images_of(0), (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(set->images_of(2), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(set->captions(0, 1).lengths, (std::vector<std::int64_t>{3})) << "cut as the task says";
  EXPECT_EQ(set->concept_tokens(), 4);
  const std::vector<std::int64_t> backwards = {2, 0};
  EXPECT_EQ(set->concepts(backwards).lengths, (std::vector<std::int64_t>{4, 2}));
  EXPECT_EQ(set->concepts(0, 1).ids.size(1), 4) << "padded to the longest of the set";

  EvaluationImages all(set, 3), some(set, {{2}, {0, 1}});
  const at::Tensor pictures = all.next()->image;
  const Batch first = *some.next(), second = *some.next();
  EXPECT_TRUE(first.image[0].equal(pictures[2]));
  EXPECT_TRUE(second.image[1].equal(pictures[1]));
  EXPECT_EQ(second.image_ids[0].item<std::int64_t>(), 0);
  EXPECT_FALSE(some.next().has_value());
}

}  // namespace
}  // namespace vicha
