#include "concepts/match/similarity_captions.h"

#include <gtest/gtest.h>

#include "concepts/match/filter_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;    // NOLINT
using namespace testing_filter;  // NOLINT
using Strings = std::vector<std::string>;

TEST(CaptionKeyTest, IsTheCaptionOrABeginningAndAHash) {
  EXPECT_EQ(caption_key("A cat."), "A cat.");
  EXPECT_EQ(caption_key(""), "");
  const std::string longer(100000, 'x');
  EXPECT_LT(caption_key(longer).size(), 4096u);
  EXPECT_NE(caption_key(longer), caption_key(longer + "y"));
}

class EmbedCaptionsTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  fs::path store_ = folder_ / "c.emb";
  fs::path first_ = folder_.write("a.json", R"([{"caption": ["a", "b", "a"]}, {"caption": ""}, {"caption": "c"}])");
  fs::path second_ = folder_.write("b.jsonl", "{\"caption\": \"b\"}\n{\"caption\": [\"d\", \"e\"]}\n");
};

TEST_F(EmbedCaptionsTest, EachCaptionOnceInTheManifestsOrder) {
  LetterSource source;
  const EmbedCaptionsReport report = embed_captions(source, {first_, second_}, store_, {.batch_size = 2});
  EXPECT_EQ(report.captions, 5);
  EXPECT_EQ(report.embedded, 5);
  EXPECT_EQ(source.asked, (Strings{"a", "b", "c", "d", "e"}));
  const EmbeddingStore store = EmbeddingStore::open(store_);
  EXPECT_EQ(store.size(), 5);
  const std::vector<std::int64_t> record = {*store.find("c")};
  EXPECT_EQ(store.rows(record)[0][0][2].item<float>(), 1.0f);
}

TEST_F(EmbedCaptionsTest, ARepeatGoesOnWithTheSameBatches) {
  LetterSource source;
  source.fail_at = "c";
  EXPECT_THROW(embed_captions(source, {first_, second_}, store_, {.batch_size = 2}), Error);
  {
    EmbeddingStoreWriter writer(store_, source.weights(), {26, 1, StoreType::kFloat16});
    writer.add(Strings{"a", "b", "c"}, std::vector<std::uint64_t>(3), source.embed_texts(Strings{"a", "b", "x"}));
    writer.finish();
  }
  source.asked.clear();
  source.fail_at.clear();
  const EmbedCaptionsReport report = embed_captions(source, {first_, second_}, store_, {.batch_size = 2});
  EXPECT_EQ(report.known, 3);
  EXPECT_EQ(report.embedded, 2);
  EXPECT_EQ(source.asked, (Strings{"c", "d", "e"}));  // c again, so that d's batch has its shape
  EXPECT_EQ(EmbeddingStore::open(store_).size(), 5);
  embed_captions(source, {first_, second_}, store_, {.batch_size = 2});
  EXPECT_EQ(source.asked.size(), 3u);
  EXPECT_EQ(EmbeddingStore::open(store_).size(), 5);
}

TEST_F(EmbedCaptionsTest, AStoreOfAnotherSourceOrAManifestWithoutCaptionsIsAnError) {
  LetterSource source;
  store_of(store_, {{"a", {1, 2}}});
  EXPECT_THROW(embed_captions(source, {first_}, store_), DataError);
  EXPECT_THROW(embed_captions(source, {folder_.write("x.json", R"([{"image": "a"}])")}, folder_ / "x.emb"), DataError);
}

}  // namespace
}  // namespace vicha
