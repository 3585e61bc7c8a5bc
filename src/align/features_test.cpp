#include "align/features.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "base/error.h"
#include "distributed/thread_group_test_support.h"

namespace vicha {
namespace {

/// Row i holds i, i + 0.25, …: exact in fp16 for small i.
at::Tensor numbered(std::int64_t rows, std::int64_t width) {
  return at::arange(rows, at::kFloat).unsqueeze(1) + at::arange(width, at::kFloat) * 0.25;
}

/// `captions` texts of each image.
std::vector<FeaturePair> pairs_of(std::int64_t images, std::int64_t captions) {
  std::vector<FeaturePair> pairs;
  for (std::int64_t i = 0; i < images * captions; ++i) pairs.push_back({.image = i / captions, .text = i});
  set_groups(pairs, PairPositives::kImage);
  return pairs;
}

template <class Call>
std::string what_it_throws(const Call& call) {
  try {
    call();
  } catch (const DataError& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(FeatureMatrix, GathersRowsOfAnyType) {
  const at::Tensor plain = numbered(20, 6), rows = at::tensor({3, 19, 0, 3}, at::kLong);
  for (const at::ScalarType type : {at::kFloat, at::kHalf}) {
    const FeatureMatrix matrix(plain.to(type), "m");
    EXPECT_EQ(matrix.gather(rows).scalar_type(), at::kFloat);
    EXPECT_TRUE(matrix.gather(rows).equal(plain.index_select(0, rows)));
    EXPECT_TRUE(matrix.block(4, 9).equal(plain.slice(0, 4, 9)));
  }
  const at::Tensor bytes = at::randint(-127, 128, {20, 6}, at::kChar), scale = at::rand({20});
  const FeatureMatrix matrix(bytes, "m", 2, scale);
  EXPECT_EQ(matrix.size(), 10);
  EXPECT_TRUE(matrix.gather(rows).equal((bytes.to(at::kFloat) * scale.unsqueeze(1)).index_select(0, rows)));
  EXPECT_TRUE(matrix.block(4, 9).equal((bytes.to(at::kFloat) * scale.unsqueeze(1)).slice(0, 4, 9)));
}

TEST(FeatureMatrix, RefusesWhatIsNoFeatures) {
  for (const auto& [rows, views] :
       std::vector<std::pair<at::Tensor, std::int64_t>>{{at::zeros({3}), 1},
                                                        {at::zeros({3, 0}), 1},
                                                        {at::zeros({0, 3}), 1},
                                                        {at::zeros({5, 3}), 2},
                                                        {at::zeros({4, 3}, at::kLong), 1},
                                                        {at::zeros({4, 3}, at::kChar), 1}}) {  // without scales
    EXPECT_TRUE(what_it_throws([&] { FeatureMatrix(rows, "store/a", views); }).starts_with("store/a: "));
  }
  what_it_throws([] { FeatureMatrix(at::zeros({4, 3}, at::kChar), "m", 1, at::ones({3})); });
  what_it_throws([] { FeatureMatrix(at::zeros({4, 3}), "m", 1, at::ones({4})); });
}

TEST(FeatureMoments, AreThoseOfAllRows) {
  at::manual_seed(2);
  at::Tensor x = at::randn({40000, 5}) * 3.0 + 100.0;
  x.select(1, 3).fill_(0.1f);
  const FeatureMoments moments = feature_moments(FeatureMatrix(x, "m"));
  const at::Tensor exact = x.to(at::kDouble), mean = exact.sum(0) / 40000.0;
  const at::Tensor deviation = ((exact - mean).square().sum(0) / 40000.0).sqrt();
  EXPECT_TRUE(at::allclose(moments.mean.to(at::kDouble), mean, 1e-6));
  for (const std::int64_t i : {0, 1, 2, 4}) {
    EXPECT_NEAR(moments.deviation[i].item<double>(), deviation[i].item<double>(), 1e-4);
  }
  EXPECT_EQ(moments.deviation[3].item<float>(), 1.0f);  // constant: nothing to divide by

  x[30001][2] = std::numeric_limits<float>::quiet_NaN();
  const std::string error = what_it_throws([&] { feature_moments(FeatureMatrix(x, "store/b", 2)); });
  EXPECT_NE(error.find("store/b: row 30001 (item 15000) has a NaN"), std::string::npos) << error;
}

TEST(FeatureMoments, OfNumbersThatHardlyChangeDoNotMakeRoundingLoud) {
  at::manual_seed(3);
  at::Tensor x = at::randn({500, 4}) * 0.05;
  x.select(1, 1).mul_(1e-7);            // always about 0
  x.select(1, 2).mul_(1e-3).add_(2.0);  // changes by less than fp16 can hold
  const at::Tensor stored = x.to(at::kHalf);
  const FeatureMoments moments = feature_moments(FeatureMatrix(stored, "m"));
  const auto standardised = [&](const at::Tensor& rows) {
    return (rows.to(at::kFloat) - moments.mean) / moments.deviation;
  };
  EXPECT_LT((standardised(x) - standardised(stored)).abs().max().item<float>(), 0.01f);
  EXPECT_NEAR(standardised(x).select(1, 3).std().item<float>(), 1.0f, 0.01f);
}

struct Source {
  FeatureMatrix image, text;
  std::vector<FeaturePair> pairs;

  Source(std::int64_t images, std::int64_t captions, std::int64_t views = 1)
      : image(numbered(images * views, 3), "images", views),
        text(numbered(images * captions, 2) + 0.5, "texts"),
        pairs(pairs_of(images, captions)) {}
  FeatureBatchSource source(std::int64_t batch, bool distinct = true, std::int64_t seed = 3,
                            const Group& group = Group::alone()) const {
    return {image, text, pairs, {.batch_size = batch, .distinct_images = distinct}, seed, group};
  }
};

TEST(FeatureBatchSource, AnEpochHasEveryPairOnceWithItsFeatures) {
  const Source data(13, 3);
  for (const bool distinct : {false, true}) {
    FeatureBatchSource source = data.source(5, distinct);
    ASSERT_EQ(source.batches_per_epoch(), 7);
    std::set<std::int64_t> seen;
    for (int i = 0; i < 7; ++i) {
      const Batch batch = source.next();
      EXPECT_EQ(batch.size(), 5);
      const auto& features = batch.get<FeatureTargets>();
      for (std::size_t k = 0; k < 5; ++k) {
        const FeaturePair& pair = data.pairs[static_cast<std::size_t>(batch.records[k])];
        EXPECT_TRUE(seen.insert(batch.records[k]).second);
        EXPECT_TRUE(features.image[k].equal(data.image.block(pair.image, pair.image + 1)[0]));
        EXPECT_TRUE(features.text[k].equal(data.text.block(pair.text, pair.text + 1)[0]));
        EXPECT_EQ(features.groups[k].item<std::int64_t>(), pair.group);
      }
    }
    std::vector<std::int32_t> order = source.order(4);
    EXPECT_NE(order, source.order(5));
    EXPECT_NE(order, data.source(5, distinct, 4).order(4));
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], static_cast<std::int32_t>(i));
  }
}

/// Images of the batches of a step of all ranks together.
std::int64_t repeated_images(const std::vector<FeaturePair>& pairs, const std::vector<std::int32_t>& order,
                             std::int64_t step) {
  std::int64_t repeated = 0;
  for (std::size_t begin = 0; begin + static_cast<std::size_t>(step) <= order.size();
       begin += static_cast<std::size_t>(step)) {
    std::set<std::int64_t> images;
    for (std::size_t i = begin; i < begin + static_cast<std::size_t>(step); ++i) {
      repeated += !images.insert(pairs[static_cast<std::size_t>(order[i])].image).second;
    }
  }
  return repeated;
}

TEST(FeatureBatchSource, ABatchHoldsNoImageTwiceWhereItNeedNot) {
  const Source data(40, 5);
  EXPECT_GT(repeated_images(data.pairs, data.source(20, false).order(0), 20), 0);
  std::int64_t repeated = 0;
  for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
    std::vector<std::int32_t> order = data.source(20).order(epoch);
    repeated += repeated_images(data.pairs, order, 20);
    order.resize(100);
    EXPECT_EQ(repeated_images(data.pairs, order, 20), 0);
  }
  EXPECT_LE(repeated, 100);  // at an epoch's end what has waited may be alone with its like: 5 of 200, at random 38
  EXPECT_EQ(repeated_images(data.pairs, data.source(40).order(1), 40), 0);  // each step has one caption of each image
  // More than there are images: the fewest repetitions are 10 a step, as long as all images have pairs left.
  std::vector<std::int32_t> three_steps = data.source(50).order(1);
  three_steps.resize(150);
  EXPECT_EQ(repeated_images(data.pairs, three_steps, 50), 30);
}

TEST(FeatureBatchSource, GoesOnFromAnyBatch) {
  const Source data(30, 2, 4);
  FeatureBatchSource whole = data.source(7);
  std::vector<Batch> batches;
  for (int i = 0; i < 20; ++i) batches.push_back(whole.next());
  for (const std::int64_t i : {0, 3, 7, 8, 15, 17}) {
    FeatureBatchSource again = data.source(7);
    again.seek(i / 8, i % 8);
    for (std::int64_t k = i; k < 20; ++k) {
      const Batch batch = again.next();
      EXPECT_EQ(batch.records, batches[static_cast<std::size_t>(k)].records);
      EXPECT_TRUE(
          batch.get<FeatureTargets>().image.equal(batches[static_cast<std::size_t>(k)].get<FeatureTargets>().image));
    }
  }
}

TEST(FeatureBatchSource, DrawsAViewOfEachImage) {
  const Source data(50, 1, 3);
  FeatureBatchSource source = data.source(50);
  std::set<std::int64_t> views;
  at::Tensor before;
  for (int epoch = 0; epoch < 2; ++epoch) {
    const Batch batch = source.next();
    const at::Tensor rows = batch.get<FeatureTargets>().image.select(1, 0).to(at::kLong);
    at::Tensor by_image = at::empty({50}, at::kLong);
    for (std::size_t k = 0; k < 50; ++k) {
      const std::int64_t row = rows[static_cast<std::int64_t>(k)].item<std::int64_t>();
      EXPECT_EQ(row / 3, batch.records[k]);
      views.insert(row % 3);
      by_image[batch.records[k]] = row;
    }
    if (before.defined()) {
      EXPECT_FALSE(before.equal(by_image));  // others in another epoch
    }
    before = by_image;
  }
  EXPECT_EQ(views.size(), 3u);
}

TEST(FeatureBatchSource, RanksShareWhatOneWouldGet) {
  const Source data(24, 2);
  FeatureBatchSource joined = data.source(12);
  const std::vector<std::int64_t> expected = joined.next().records;
  std::array<std::vector<std::int64_t>, 3> parts;
  const auto errors = run_ranks(3, [&](const Group& group) {
    FeatureBatchSource source = data.source(4, true, 3, group);
    EXPECT_EQ(source.batches_per_epoch(), 4);
    parts[static_cast<std::size_t>(group.rank())] = source.next().records;
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
  std::vector<std::int64_t> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  EXPECT_EQ(all, expected);
}

TEST(FeatureBatchSource, RefusesPairsThatDoNotFit) {
  Source data(6, 1);
  std::string error = what_it_throws([&] { data.source(7); });
  EXPECT_NE(error.find("6 pairs are fewer than one step takes"), std::string::npos) << error;
  data.pairs[4].text = 6;
  error = what_it_throws([&] { data.source(2); });
  EXPECT_NE(error.find("texts: has 6 texts, but pair 4 names number 6"), std::string::npos) << error;
}

TEST(FeatureMatrix, RowsMayBeKeptBySomebodyElse) {
  const at::Tensor plain = numbered(20, 6), asked = at::tensor({3, 19, 0, 3}, at::kLong);
  const auto gather = [&](const at::Tensor& rows) { return plain.index_select(0, rows); };
  const FeatureMatrix here(plain, "m", 2), there({.rows = 20, .width = 6, .gather = gather}, "m", 2);
  EXPECT_EQ(there.size(), 10);
  EXPECT_EQ(there.width(), 6);
  EXPECT_TRUE(there.gather(asked).equal(here.gather(asked)));
  EXPECT_TRUE(there.block(4, 9).equal(here.block(4, 9)));
  EXPECT_TRUE(feature_moments(there).deviation.equal(feature_moments(here).deviation));
  const std::string error =
      what_it_throws([&] { FeatureMatrix({.rows = 20, .width = 6, .gather = gather}, "odd.emb", 3); });
  EXPECT_NE(error.find("odd.emb: has 20 rows, which are not 3 views"), std::string::npos) << error;
}

TEST(FeaturePairs, GroupsAreOfTextsOrImages) {
  std::vector<FeaturePair> pairs = {{0, 5}, {1, 5}, {1, 2}};
  set_groups(pairs, PairPositives::kText);
  EXPECT_TRUE(pairs[0].group == pairs[1].group && pairs[1].group != pairs[2].group);
  set_groups(pairs, PairPositives::kImage);
  EXPECT_TRUE(pairs[0].group != pairs[1].group && pairs[1].group == pairs[2].group);
  set_groups(pairs, PairPositives::kPair);
  EXPECT_TRUE(pairs[0].group != pairs[1].group && pairs[1].group != pairs[2].group && pairs[0].group != pairs[2].group);
}

}  // namespace
}  // namespace vicha
