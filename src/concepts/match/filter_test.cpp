#include "concepts/match/filter.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/random.h"
#include "concepts/match/filter_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;    // NOLINT
using namespace testing_filter;  // NOLINT

Share percent(const std::string& text) { return Share::parse(text, "--keep"); }

/// Pairs without a file: of images 0, 1, …, the similarities of each.
ManifestPairs pairs_of(const std::vector<std::vector<float>>& sims) {
  ManifestPairs pairs;
  for (std::size_t i = 0; i < sims.size(); ++i) {
    pairs.records.push_back({0, pairs.sims.size(), 0, static_cast<std::uint32_t>(i)});
    pairs.sims.insert(pairs.sims.end(), sims[i].begin(), sims[i].end());
  }
  pairs.images = static_cast<std::int64_t>(sims.size());
  return pairs;
}

std::string kept_text(const ManifestPairs& pairs, const FilterRules& rules) {
  std::string text;
  for (const bool kept : select_pairs(pairs, rules)) text += kept ? '1' : '0';
  return text;
}

constexpr float kNan = ManifestPairs::kUnknown;

TEST(SelectPairsTest, KeepsExactlyTheShareOfTheWhole) {
  std::vector<std::vector<float>> sims;
  Rng rng(5);
  for (int i = 0; i < 1000; ++i) sims.push_back({static_cast<float>(rng.uniform())});
  const ManifestPairs pairs = pairs_of(sims);
  for (const auto& [share, count] :
       {std::pair{"70%", 700}, {"29%", 290}, {"0.05%", 1}, {"100%", 1000}, {"0.3339", 333}}) {
    const std::vector<bool> kept = select_pairs(pairs, {.keep = percent(share)});
    EXPECT_EQ(std::count(kept.begin(), kept.end(), true), count) << share;
    float least_kept = 2, most_dropped = -2;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      if (kept[i]) least_kept = std::min(least_kept, pairs.sims[i]);
      if (!kept[i]) most_dropped = std::max(most_dropped, pairs.sims[i]);
    }
    EXPECT_GT(least_kept, most_dropped) << share;
  }
}

TEST(SelectPairsTest, BetweenEqualsTheEarlierWins) {
  const ManifestPairs pairs = pairs_of({{.5f}, {.2f}, {.5f}, {.5f}, {.9f}, {.5f}});
  EXPECT_EQ(kept_text(pairs, {.keep = percent("50%")}), "101010");
  EXPECT_EQ(kept_text(pairs_of({{.5f, .5f, .5f, .5f}}), {.keep_captions = percent("50%")}), "1100");
}

TEST(SelectPairsTest, EveryImageKeepsAtLeastOneCaption) {
  const ManifestPairs pairs = pairs_of({{.1f}, {.3f, .2f}, {.3f, .4f, .5f}, {.5f, .3f, .2f, .4f, .1f}, {}});
  EXPECT_EQ(kept_text(pairs, {.keep_captions = percent("50%")}),
            "1"
            "10"
            "001"
            "10010");
  EXPECT_EQ(kept_text(pairs, {.keep_captions = percent("1%")}),
            "1"
            "10"
            "001"
            "10000");
  EXPECT_EQ(kept_text(pairs, {.keep_captions = percent("100%")}), "11111111111");
}

TEST(SelectPairsTest, CaptionsOfAImageCountOverAllItsRecords) {
  ManifestPairs pairs = pairs_of({{.1f}, {.4f}, {.3f}, {.2f}, {.5f}});
  for (const std::size_t i : {0, 2, 3}) pairs.records[i].image = 0;
  EXPECT_EQ(kept_text(pairs, {.keep_captions = percent("70%")}), "01111");  // int(.7 * 3) = 2 of image 0
}

TEST(SelectPairsTest, RulesLookAtAllPairsAndAllMustAgree) {
  const ManifestPairs pairs = pairs_of({{.9f, .8f}, {.2f, .1f}, {.7f}});
  EXPECT_EQ(kept_text(pairs, {.keep = percent("60%"), .keep_captions = percent("50%")}), "10001");
  EXPECT_EQ(kept_text(pairs, {.keep_captions = percent("50%"), .min_sim = .5}), "10001");
  EXPECT_EQ(kept_text(pairs, {.min_sim = .1}), "11111");  // 0.1 itself, though 0.1f is not 0.1
  EXPECT_EQ(kept_text(pairs, {.min_sim = .7}), "11001");
  EXPECT_EQ(kept_text(pairs, {}), "11111");
}

TEST(SelectPairsTest, UnknownPairsAreNeverKeptAndCountForNothing) {
  const ManifestPairs pairs = pairs_of({{kNan, .3f, .2f}, {kNan}, {.1f, kNan, kNan, kNan}});
  EXPECT_EQ(kept_text(pairs, {}),
            "0110"
            "1000");
  EXPECT_EQ(kept_text(pairs, {.keep = percent("34%")}),
            "0100"
            "0000");
  EXPECT_EQ(kept_text(pairs, {.keep_captions = percent("50%")}),
            "0100"
            "1000");
}

class WriteFilteredTest : public ::testing::Test {
 protected:
  WriteFilteredTest() {
    in_ = folder_.write("m.jsonl", R"({"image":"a.png","caption":"one","sim":0.2,"id":18446744073709551615})"
                                   "\n"
                                   R"({"image":"b.png","caption":["x","y","z"],"sims":[0.1,0.3,0.25],"more":{"k":1}})"
                                   "\n"
                                   R"({"image":"a.png","caption":"two","sim":0.3})"
                                   "\n"
                                   R"({"caption":["solo"],"image":"c.png","sim":0.05})"
                                   "\n");
    pairs_ = saved_similarities(in_);
  }
  std::string filtered(const FilterRules& rules, const FilterOutput& output = {}) {
    report_ = write_filtered(pairs_, select_pairs(pairs_, rules), folder_ / "out.jsonl", output);
    return read_text(folder_ / "out.jsonl");
  }

  TemporaryFolder folder_;
  fs::path in_;
  ManifestPairs pairs_;
  FilterReport report_;
};

TEST_F(WriteFilteredTest, SortsRecordsByTheirBestCaption) {
  EXPECT_EQ(filtered({.keep = percent("67%")}),
            R"({"image":"b.png","caption":["y","z"],"sims":[0.3,0.25],"more":{"k":1},"sim":0.3})"
            "\n"
            R"({"image":"a.png","caption":"two","sim":0.3})"
            "\n"
            R"({"image":"a.png","caption":"one","sim":0.2,"id":18446744073709551615})"
            "\n");
  EXPECT_EQ(report_.records, 4);
  EXPECT_EQ(report_.pairs, 6);
  EXPECT_EQ(report_.images, 3);
  EXPECT_EQ(report_.kept_rows, 3);
  EXPECT_EQ(report_.kept_pairs, 4);
  EXPECT_EQ(report_.kept_images, 2);
}

TEST_F(WriteFilteredTest, KeepsTheOrderIfAsked) {
  EXPECT_EQ(filtered({.keep_captions = percent("50%")}, {.keep_order = true}),
            R"({"image":"b.png","caption":["y"],"sims":[0.3],"more":{"k":1},"sim":0.3})"
            "\n"
            R"({"image":"a.png","caption":"two","sim":0.3})"
            "\n"
            R"({"caption":["solo"],"image":"c.png","sim":0.05,"sims":[0.05]})"
            "\n");
}

TEST_F(WriteFilteredTest, SplitsIntoARowForEachPair) {
  EXPECT_EQ(filtered({.min_sim = .2}, {.split_captions = true}),
            R"({"image":"b.png","caption":"y","more":{"k":1},"sim":0.3})"
            "\n"
            R"({"image":"a.png","caption":"two","sim":0.3})"
            "\n"
            R"({"image":"b.png","caption":"z","more":{"k":1},"sim":0.25})"
            "\n"
            R"({"image":"a.png","caption":"one","sim":0.2,"id":18446744073709551615})"
            "\n");
}

TEST_F(WriteFilteredTest, WhatWasWrittenReadsBackTheSame) {
  write_filtered(pairs_, select_pairs(pairs_, {}), folder_ / "out.json");
  const ManifestPairs again = saved_similarities(folder_ / "out.json");
  EXPECT_EQ(std::multiset<float>(again.sims.begin(), again.sims.end()),
            std::multiset<float>(pairs_.sims.begin(), pairs_.sims.end()));
  write_filtered(again, select_pairs(again, {}), folder_ / "out.json");  // in place
  EXPECT_EQ(rows_of(folder_ / "out.json").size(), 4u);
}

TEST_F(WriteFilteredTest, NothingKeptOrAChangedFileIsAnErrorAndLeavesNoFile) {
  EXPECT_THROW(filtered({.min_sim = 2}), DataError);
  folder_.write("m.jsonl", read_text(in_) + "\n");
  EXPECT_THROW(filtered({}), DataError);
  folder_.write("m.jsonl", std::string(read_text(in_).size() - 1, ' '));
  EXPECT_THROW(filtered({}), DataError);
  EXPECT_FALSE(fs::exists(folder_ / "out.jsonl"));
}

TEST(SavedSimilaritiesTest, NamesTheRecordThatLacksThem) {
  const TemporaryFolder folder;
  for (const char* record :
       {R"({"image":"a","caption":"x"})", R"({"image":"a","caption":["x","y"],"sim":0.5})",
        R"({"caption":"x","sim":1})", R"({"image":"a","caption":["x","y"],"sims":[0.5]})",
        R"({"image":"a","caption":["x"],"sims":["high"]})", R"({"image":"a","caption":7,"sim":0.5})",
        R"({"image":"a","caption":"x","sim":null})", R"({"image":"a","sim":1})"}) {
    const fs::path file = folder.write("m.json", std::string("[{\"image\":\"a\",\"caption\":[]},\n") + record + "]");
    try {
      saved_similarities(file);
      ADD_FAILURE() << record;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find("record 1 (line 2)"), std::string::npos) << error.what();
    }
  }
}

TEST(StoredSimilaritiesTest, AreCosinesOfTheStoresVectors) {
  const TemporaryFolder folder;
  const EmbeddingStore images =
      store_of(folder / "p.emb", {{"a.png", {3, 4}}, {"b.png", {0, 2}}, {"flat.png", {0, 0}}});
  const EmbeddingStore captions = store_of(folder / "c.emb", {{"right", {5, 0}}, {"up", {0, .1f}}, {"down", {0, -1}}});
  const fs::path in = folder.write("m.json", R"([
    {"image": "a.png", "caption": ["right", "up", "down", "", "not there"]},
    {"image": "none.png", "caption": "up"}, {"image": "flat.png", "caption": "up"},
    {"image": "b.png", "caption": []}, {"image": "b.png", "caption": "up"}, {"image": "a.png", "caption": "up"}])");
  const ManifestPairs pairs = stored_similarities(in, images, captions);
  ASSERT_EQ(pairs.sims.size(), 9u);
  EXPECT_FLOAT_EQ(pairs.sims[0], .6f);
  EXPECT_FLOAT_EQ(pairs.sims[1], .8f);
  EXPECT_FLOAT_EQ(pairs.sims[2], -.8f);
  for (const std::size_t i : {3, 4, 5, 6}) EXPECT_TRUE(std::isnan(pairs.sims[i])) << i;
  EXPECT_FLOAT_EQ(pairs.sims[7], 1.0f);
  EXPECT_FLOAT_EQ(pairs.sims[8], .8f);
  EXPECT_EQ(pairs.unknown, 4);
  EXPECT_NE(pairs.first_unknown.find("record 0"), std::string::npos) << pairs.first_unknown;
  EXPECT_EQ(pairs.images, 4);
  EXPECT_EQ(pairs.records[5].image, pairs.records[0].image);
}

TEST(StoredSimilaritiesTest, DoNotDependOnHowManyAreComputedTogether) {
  const TemporaryFolder folder;
  Vectors images, captions;
  std::string all;
  Rng rng(3);
  for (int i = 0; i < 60; ++i) {
    std::vector<float> image, caption;
    for (int j = 0; j < 7; ++j) {
      image.push_back(static_cast<float>(rng.normal()));
      caption.push_back(static_cast<float>(rng.normal()));
    }
    images.emplace_back(fmt::format("p{}", i), image);
    captions.emplace_back(fmt::format("c{}", i), caption);
  }
  for (int i = 0; i < 9000; ++i) {
    all +=
        Ordered({{"image", fmt::format("p{}", rng.below(60))}, {"caption", fmt::format("c{}", i % 60)}}).dump() + "\n";
  }
  const EmbeddingStore p = store_of(folder / "p.emb", images), c = store_of(folder / "c.emb", captions);
  const ManifestPairs pairs = stored_similarities(folder.write("all.jsonl", all), p, c);
  ASSERT_EQ(pairs.sims.size(), 9000u);
  const std::vector<std::string> lines = [&] {
    std::vector<std::string> out(1);
    for (const char ch : all) ch == '\n' ? out.emplace_back() : (out.back() += ch, out.back());
    return out;
  }();
  for (const std::size_t i : {0u, 4094u, 4095u, 4096u, 4097u, 8999u}) {
    EXPECT_EQ(stored_similarities(folder.write("one.jsonl", lines[i]), p, c).sims, std::vector<float>{pairs.sims[i]});
  }
}

TEST(StoredSimilaritiesTest, StoresOfDifferentSourcesDoNotMix) {
  const TemporaryFolder folder;
  const EmbeddingStore images = store_of(folder / "p.emb", {{"a.png", {3, 4}}});
  const EmbeddingStore captions = store_of(folder / "c.emb", {{"right", {5, 0}}}, "b");
  const EmbeddingStore wide = store_of(folder / "w.emb", {{"right", {5, 0, 1}}});
  const fs::path in = folder.write("m.json", R"([{"image": "a.png", "caption": "right"}])");
  EXPECT_THROW(stored_similarities(in, images, captions), DataError);
  EXPECT_THROW(stored_similarities(in, images, wide), DataError);
}

}  // namespace
}  // namespace vicha
