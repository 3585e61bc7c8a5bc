#include "concepts/match/nearest_captions.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "concepts/match/filter_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;    // NOLINT
using namespace testing_filter;  // NOLINT
using Strings = std::vector<std::string>;

class NearestCaptionsTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  // Directions in the plane: east, a little to the north, …
  EmbeddingStore captions_ = store_of(folder_ / "c.emb", {{"east", {1, 0}},
                                                          {"east by north", {4, 1}},
                                                          {"north-east", {1, 1}},
                                                          {"north", {0, 3}},
                                                          {"west", {-1, 0}},
                                                          {"unused", {1, .01f}}});
  EmbeddingStore images_ = store_of(folder_ / "p.emb", {{"a.png", {9, 1}}, {"b.png", {0, 1}}});
  fs::path others_ = folder_.write("others.json", R"([{"image": "x", "caption": ["east", "west", "east by north"]},
      {"image": "y", "caption": "north"}, {"image": "z", "caption": "east"}, {"image": "z", "caption": "north-east"}])");
};

TEST_F(NearestCaptionsTest, ByImageWithoutTheRecordsOwn) {
  const fs::path in = folder_.write("m.json", R"([{"image": "a.png", "caption": "east"},
      {"image": "b.png", "caption": ["up", "there"], "n": 1}, {"image": "none.png", "caption": "east"}])");
  const NearestCaptionsReport report =
      add_nearest_captions(in, folder_ / "out.json", others_, images_, captions_, {.k = 2, .scores = true});
  EXPECT_EQ(report.records, 3);
  EXPECT_EQ(report.captions, 5);
  EXPECT_EQ(report.unknown, 1);
  const std::vector<Ordered> rows = rows_of(folder_ / "out.json");
  EXPECT_EQ(rows[0]["additional_captions"], (Strings{"east by north", "north-east"}));
  EXPECT_NEAR(rows[0]["additional_captions_sim"][0].get<double>(), 37 / std::sqrt(82 * 17), 1e-6);
  EXPECT_EQ(rows[1]["additional_captions"], (Strings{"north", "north-east"}));
  EXPECT_EQ(rows[1]["n"], 1);
  EXPECT_EQ(rows[2]["additional_captions"], Strings{});
}

TEST_F(NearestCaptionsTest, ByCaptionTakesTheMeanDirectionOfSeveral) {
  const fs::path in = folder_.write("m.json", R"([{"caption": "west"}, {"caption": ["east", "north"]},
                                                  {"caption": "unknown"}])");
  const NearestCaptionsOptions options{.k = 2, .by_caption = true, .field = "more"};
  const NearestCaptionsReport report =
      add_nearest_captions(in, folder_ / "out.json", others_, captions_, captions_, options);
  EXPECT_EQ(report.unknown, 1);
  const std::vector<Ordered> rows = rows_of(folder_ / "out.json");
  EXPECT_EQ(rows[0]["more"], (Strings{"north", "north-east"}));
  EXPECT_EQ(rows[1]["more"], (Strings{"north-east", "east by north"}));
  EXPECT_FALSE(rows[0].contains("more_sim"));
}

TEST_F(NearestCaptionsTest, ManyOwnCaptionsAndSmallSets) {
  Strings own;
  for (int i = 0; i < 20; ++i) own.push_back(fmt::format("c{}", i));
  Vectors vectors;
  for (int i = 0; i < 20; ++i)
    vectors.push_back({own[static_cast<std::size_t>(i)], {1, .001f * static_cast<float>(i)}});
  vectors.push_back({"other", {1, 1}});
  const EmbeddingStore store = store_of(folder_ / "many.emb", vectors);
  Ordered everything = Ordered::array({{{"image", "a.png"}, {"caption", own}}});
  const fs::path in = folder_.write("m.json", everything.dump());
  everything.push_back({{"image", "b.png"}, {"caption", "other"}});
  add_nearest_captions(in, folder_ / "out.json", folder_.write("all.json", everything.dump()), images_, store, {});
  EXPECT_EQ(rows_of(folder_ / "out.json")[0]["additional_captions"], Strings{"other"});
}

TEST_F(NearestCaptionsTest, MixedSourcesAndMissingEmbeddingsAreErrors) {
  const fs::path in = folder_.write("m.json", R"([{"image": "a.png", "caption": "east"}])");
  const EmbeddingStore stranger = store_of(folder_ / "s.emb", {{"a.png", {9, 1}}}, "b");
  EXPECT_THROW(add_nearest_captions(in, folder_ / "o.json", others_, stranger, captions_, {}), DataError);
  const fs::path more = folder_.write("more.json", R"([{"caption": "south"}])");
  EXPECT_THROW(add_nearest_captions(in, folder_ / "o.json", more, images_, captions_, {}), DataError);
  EXPECT_THROW(add_nearest_captions(in, folder_ / "o.json", others_, images_, captions_, {.k = 0}), UsageError);
  EXPECT_FALSE(fs::exists(folder_ / "o.json"));
}

}  // namespace
}  // namespace vicha
