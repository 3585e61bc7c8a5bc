// The losses over regions and tags on their own: values worked out by hand, gradients against finite differences.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <set>

#include "objectives/alignment_loss.h"
#include "objectives/ira.h"
#include "objectives/irta.h"
#include "objectives/masked_pass.h"
#include "objectives/mrm.h"
#include "objectives/mtm.h"
#include "objectives/slope_test.h"

namespace vicha {
namespace {

at::Tensor matrix(const std::vector<double>& values, std::int64_t columns) {
  return at::tensor(values, at::kDouble).view({-1, columns});
}

at::Tensor marks(const std::vector<std::int64_t>& values, std::int64_t columns) {
  return at::tensor(values).view({-1, columns}).to(at::kBool);
}

double number(const at::Tensor& loss) { return loss.item<double>(); }

/// Rows: the first has 0.7 above its 0.2, the second nothing above its 0.9: (0.5 + 0) / 2.
TEST(MarginLoss, IsWhatLiesAboveThePositive) {
  const at::Tensor similarity = matrix({0.2, 0.7, -0.1, 0.3, 0.9, 0.8}, 3);
  EXPECT_DOUBLE_EQ(number(margin_loss(similarity, {})), 0.25);
}

/// One row, positives 0.5 and 0.1, negatives 0.4 and -1: 0.5 has nothing above it (0.1 is right too), 0.1 has 0.4:
/// (0 + 0.3) / 2. The second row has no negative at all.
TEST(MarginLoss, SeveralPositivesAreMeasuredAgainstTheNegatives) {
  const at::Tensor similarity = matrix({0.5, 0.4, 0.1, -1.0, 0.3, -0.9, 0.2, 0.0}, 4);
  const at::Tensor positives = marks({1, 0, 1, 0, 1, 1, 1, 1}, 4);
  EXPECT_NEAR(number(margin_loss(similarity.slice(0, 0, 1), positives.slice(0, 0, 1))), 0.15, 1e-12);
  EXPECT_NEAR(number(margin_loss(similarity, positives)), 0.075, 1e-12);
}

TEST(MarginLoss, IsZeroExactlyWhenEveryPositiveIsItsRowsMaximum) {
  at::manual_seed(5);
  for (int i = 0; i < 50; ++i) {
    const at::Tensor similarity = at::randn({4, 6}, at::kDouble);
    const at::Tensor positives = at::randn({4, 6}).gt(0.6).logical_or(at::eye(4, 6).to(at::kBool));
    EXPECT_GT(number(margin_loss(similarity - 10 * positives.to(at::kDouble), positives)), 0.0);
    EXPECT_EQ(number(margin_loss(similarity + 10 * positives.to(at::kDouble), positives)), 0.0);
    // The diagonal made the largest of its row, by nothing at all.
    at::Tensor topped = similarity.clone();
    topped.diagonal().copy_(std::get<0>(similarity.max(1)));
    EXPECT_EQ(number(margin_loss(topped, {})), 0.0);
    topped[2][2].sub_(1e-9);
    if (similarity[2].argmax().item<std::int64_t>() != 2) {
      EXPECT_GT(number(margin_loss(topped, {})), 0.0);
    }
  }
}

TEST(MarginLoss, GradientMatchesFiniteDifferences) {
  at::manual_seed(6);
  const at::Tensor positives = marks({1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1}, 4);
  const at::Tensor hard = (at::randn({3, 4}, at::kDouble) - 3 * positives.to(at::kDouble)).set_requires_grad(true);
  expect_slope([&](const at::Tensor& x) { return margin_loss(x, positives); }, hard, 1e-6, 1e-6);
  const at::Tensor square = (at::randn({3, 3}, at::kDouble) - 3 * at::eye(3, at::kDouble)).set_requires_grad(true);
  expect_slope([](const at::Tensor& x) { return margin_loss(x, {}); }, square, 1e-6, 1e-6);
}

/// Temperature 0.5, similarities [[0.5, 0], [0, 0.5]] become [[1, 0], [0, 1]]: every row and column is
/// log(1 + e) - 1 = log(1 + 1/e).
TEST(InfoNceLoss, IsTheMeanOfBothDirections) {
  const at::Tensor temperature = at::full({}, 0.5, at::kDouble);
  EXPECT_NEAR(number(infonce_loss(matrix({0.5, 0.0, 0.0, 0.5}, 2), {}, temperature)), std::log1p(std::exp(-1.0)), 1e-6);
  // [[1, 0], [1, 0]]: rows log(1 + 1/e) and log(1 + e); each column's two are equal: log 2.
  const double rows = (std::log1p(std::exp(-1.0)) + std::log1p(std::exp(1.0))) / 2;
  EXPECT_NEAR(number(infonce_loss(matrix({0.5, 0.0, 0.5, 0.0}, 2), {}, temperature)), (rows + std::log(2.0)) / 2, 1e-6);
}

/// Three regions, two tags; the first two regions have tag 0. Temperature 1, similarities ln 1, ln 3 / ln 2, ln 2 /
/// ln 4, ln 6. Rows: 1/4, 2/4, 6/10. Columns: target half and half of 1/7 and 2/7; and 6/11.
TEST(InfoNceLoss, TargetsAreUniformOverThePositives) {
  const at::Tensor similarity = matrix({1, 3, 2, 2, 4, 6}, 2).log();
  const at::Tensor positives = tag_positives(at::tensor(std::vector<std::int64_t>{0, 0, 1}), 2);
  const double rows = -(std::log(1 / 4.0) + std::log(2 / 4.0) + std::log(6 / 10.0)) / 3;
  const double columns = -((std::log(1 / 7.0) + std::log(2 / 7.0)) / 2 + std::log(6 / 11.0)) / 2;
  EXPECT_NEAR(number(infonce_loss(similarity, positives, at::ones({}, at::kDouble))), (rows + columns) / 2, 1e-6);
}

TEST(InfoNceLoss, GradientMatchesFiniteDifferences) {
  at::manual_seed(7);
  const at::Tensor positives = tag_positives(at::tensor(std::vector<std::int64_t>{0, 2, 0, 1}), 3);
  const at::Tensor temperature = at::full({}, 0.7, at::kDouble).set_requires_grad(true), x = learned({4, 3});
  expect_slope([&](const at::Tensor& s) { return infonce_loss(s, positives, temperature.detach()); }, x);
  expect_slope([&](const at::Tensor& t) { return infonce_loss(x.detach(), positives, t); }, temperature);
}

/// E = 2. Caption 0: words (1, 0) and (0, 1); caption 1: (0, 1). Picture 0: regions (1, 0) and (0.6, 0.8); picture 1:
/// region (0, 1), tag (-1, 0).
/// Words find: caption 0 in picture 0 (1 + 0.8) / 2 = 0.9, in picture 1 (0 + 1) / 2; caption 1: 0.8 and 1.
/// Parts find: picture 0 in caption 0 (1 + 0.8) / 2 = 0.9, in caption 1 (0 + 0.8) / 2 = 0.4; picture 1 in caption 0
/// (1 + 0) / 2 = 0.5, in caption 1 (1 + 0) / 2 = 0.5.
TEST(RegionWordFit, IsTheMeanOfWhatWordsFindAndOfWhatPartsFind) {
  const at::Tensor words = matrix({1, 0, 0, 1, 0, 1}, 2).to(at::kFloat);
  const at::Tensor parts = matrix({1, 0, 0.6, 0.8, 0, 1, -1, 0}, 2).to(at::kFloat).view({2, 2, 2});
  const at::Tensor fit = region_word_fit(words, {2, 1}, parts, {2, 2});
  const at::Tensor expected = matrix({0.9, 0.6, 0.5, 0.75}, 2).to(at::kFloat);
  EXPECT_TRUE(at::allclose(fit, expected, 1e-6, 1e-6)) << fit;
}

TEST(RegionWordFit, PaddingOfTagsIsNeverCounted) {
  at::manual_seed(8);
  const at::Tensor words = at::randn({5, 3}), parts = at::randn({2, 4, 3});
  const at::Tensor fit = region_word_fit(words, {3, 2}, parts, {2, 4});
  at::Tensor other = parts.clone();
  other[0].slice(0, 2).fill_(1e6);
  EXPECT_TRUE(at::equal(region_word_fit(words, {3, 2}, other, {2, 4}), fit));
  other[1].slice(0, 3).fill_(1e6);
  EXPECT_FALSE(at::equal(region_word_fit(words, {3, 2}, other, {2, 4}), fit));
}

TEST(RegionWordFit, CaptionsWithoutWordsFitNothing) {
  at::manual_seed(9);
  const at::Tensor parts = at::randn({2, 4, 3});
  const at::Tensor fit = region_word_fit(at::randn({3, 3}), {0, 3}, parts, {4, 4});
  EXPECT_EQ(fit.select(1, 0).abs().max().item<double>(), 0.0);
  EXPECT_EQ(region_word_fit(at::empty({0, 3}), {0, 0}, parts, {4, 4}).abs().max().item<double>(), 0.0);
}

TEST(RegionWordFit, GradientMatchesFiniteDifferences) {
  at::manual_seed(10);
  const at::Tensor words = learned({5, 3}), parts = learned({2, 4, 3});
  const at::Tensor toward = at::randn({2, 3});
  const auto sum = [&](const at::Tensor& w, const at::Tensor& p) {
    return (region_word_fit(w, {3, 0, 2}, p, {2, 4}) * toward).sum();
  };
  expect_slope([&](const at::Tensor& x) { return sum(x, parts.detach()); }, words, 1e-3);
  expect_slope([&](const at::Tensor& x) { return sum(words.detach(), x); }, parts, 1e-3);
}

TEST(RegionTags, DistinctOnesInTheOrderOfTheVocabulary) {
  const at::Tensor tags = at::tensor(std::vector<std::int64_t>{-1, 7, 3, 7, -1, 0}).view({2, 3});
  const DistinctTags found = distinct_tags(tags);
  EXPECT_EQ(found.regions, (std::vector<std::int64_t>{1, 2, 3, 5}));
  EXPECT_EQ(found.tags, (std::vector<std::int64_t>{0, 3, 7}));
  EXPECT_EQ(found.tag_of_region, (std::vector<std::int64_t>{2, 1, 2, 0}));
  EXPECT_TRUE(distinct_tags(at::full({2, 3}, -1, at::kLong)).regions.empty());
}

/// Regions 0 and 2 have the same tag: no pair of theirs is a negative, whatever lies nearer.
TEST(RegionTags, EqualTagsAreNoNegatives) {
  const at::Tensor positives = tag_positives(at::tensor(std::vector<std::int64_t>{1, 0, 1}), 2);
  EXPECT_TRUE(at::equal(positives, marks({0, 1, 1, 0, 0, 1}, 2)));
  const at::Tensor similarity = matrix({0.1, 0.3, 0.9, 0.2, 0.1, 0.8}, 2);
  EXPECT_EQ(number(margin_loss(similarity, positives)), 0.0);
}

/// Tokens [CLS] (9, 9), (1, 2), (3, 6), padding; and [CLS] alone.
TEST(RegionTags, ATagIsTheMeanOfItsTokens) {
  at::Tensor hidden = at::full({2, 4, 2}, 9.0);
  hidden[0].slice(0, 1, 3).copy_(matrix({1, 2, 3, 6}, 2));
  hidden[0][3].fill_(1e5);
  hidden[1].slice(0, 1).fill_(1e5);
  EXPECT_TRUE(at::allclose(mean_tag(hidden, {3, 1}), matrix({2, 4, 9, 9}, 2).to(at::kFloat)));
}

/// Squared distances 0.01 + 0.04 and 4 + 1; the third region has no feature.
TEST(RegionFeatureLoss, IsTheMeanSquaredDistance) {
  const at::Tensor target = matrix({1, 0, 0, 1, 0, 0}, 2), prediction = matrix({0.9, 0.2, 2, 2, 100, 100}, 2);
  EXPECT_NEAR(number(region_feature_loss(prediction, target)), (0.05 + 5.0) / 2, 1e-12);
  EXPECT_EQ(number(region_feature_loss(prediction.slice(0, 2), target.slice(0, 2))), 0.0);
  expect_slope([&](const at::Tensor& x) { return region_feature_loss(x, target); }, learned({3, 2}), 1e-4, 1e-6);
}

/// A region of 32 x 32 pixels: each of its 16 x 16 is the mean of four; all in all mean 0 and deviation 1.
TEST(RegionPixels, AreMeansOfTheirAreaNormalised) {
  at::manual_seed(11);
  at::Tensor picture = at::randn({1, 3, 64, 32});
  picture.slice(2, 0, 32).fill_(0.25);
  const at::Tensor regions = region_pixels(picture, 2, 1);
  ASSERT_EQ(regions.sizes(), (at::IntArrayRef{1, 2, 768}));
  EXPECT_LT(regions[0][0].abs().max().item<double>(), 1e-3) << "one colour";
  const at::Tensor means = at::avg_pool2d(picture.slice(2, 32), {2, 2}).flatten();
  const at::Tensor expected = (means - means.mean()) / means.std(/*unbiased=*/false);
  EXPECT_TRUE(at::allclose(regions[0][1], expected, 1e-4, 1e-4));
  expect_slope([&](const at::Tensor& x) { return region_pixel_loss(x, regions[0].to(at::kDouble)); }, learned({2, 768}),
               1e-4, 1e-6);
}

/// Cells that cut pixels take their share: 3 pixels of 0, 1, 2 in 2 regions of 16 columns each. The region's left
/// quarter of columns lies within the first pixel.
TEST(RegionPixels, CellsMayCutPixels) {
  const at::Tensor picture = at::arange(3, at::kFloat).view({1, 1, 1, 3}).expand({1, 3, 1, 3});
  const at::Tensor region = region_pixels(picture, 1, 2)[0][0].view({3, 16, 16})[0][0];
  // Columns end at 3/32, 6/32, …: the tenth is 27/32 to 30/32, the eleventh 30/32 to 33/32, which cuts pixel 1 off.
  EXPECT_EQ(region[0].item<float>(), region[9].item<float>());
  EXPECT_GT(region[10].item<float>(), region[9].item<float>());
  EXPECT_GT(region[11].item<float>(), region[10].item<float>());
  const double step = (region[11] - region[9]).item<double>();
  EXPECT_NEAR((region[10] - region[9]).item<double>(), step / 3, 1e-4);
}

/// Softmax of (ln 1, ln 2, ln 5) is (1/8, 2/8, 5/8); the second region has no tag.
TEST(MtmLoss, IsTheMeanOverTheTaggedRegions) {
  const at::Tensor logits = matrix({1, 2, 5, 1, 2, 5, 1, 2, 5}, 3).log();
  const at::Tensor tags = at::tensor(std::vector<std::int64_t>{2, -1, 0});
  EXPECT_NEAR(number(mtm_loss(logits, tags)), -(std::log(5 / 8.0) + std::log(1 / 8.0)) / 2, 1e-6);
  EXPECT_EQ(number(mtm_loss(logits, at::full({3}, -1, at::kLong))), 0.0);
  expect_slope([&](const at::Tensor& x) { return mtm_loss(x, tags); }, learned({3, 3}), 1e-4, 1e-6);
}

TEST(RegionLosses, OfNoRowsAreZero) {
  const at::Tensor none = at::empty({0, 3}).set_requires_grad(true), tags = at::empty({0}, at::kLong);
  for (const at::Tensor& loss : {margin_loss(none, {}), region_feature_loss(none, none.detach()),
                                 region_pixel_loss(none, none.detach()), mtm_loss(none, tags)}) {
    EXPECT_EQ(number(loss), 0.0);
    EXPECT_TRUE(loss.requires_grad());
  }
}

TEST(MaskedRegionDraw, TakesAShareOfEachPicture) {
  Rng rng(3);
  std::vector<int> often(36, 0);
  for (int i = 0; i < 600; ++i) {
    const std::vector<std::int64_t> drawn = draw_masked_regions(3, 36, 0.15, rng);
    ASSERT_EQ(drawn.size(), 15u) << "5.4 of 36 rounded, of each of 3 pictures";
    ASSERT_TRUE(std::is_sorted(drawn.begin(), drawn.end()));
    ASSERT_EQ(std::set<std::int64_t>(drawn.begin(), drawn.end()).size(), 15u);
    for (std::size_t k = 0; k < drawn.size(); ++k) {
      ASSERT_EQ(drawn[k] / 36, static_cast<std::int64_t>(k / 5));
      ++often[static_cast<std::size_t>(drawn[k] % 36)];
    }
  }
  for (const int times : often) EXPECT_NEAR(times, 600 * 15 / 36.0, 70);
  EXPECT_EQ(draw_masked_regions(2, 9, 0.0, rng).size(), 2u) << "at least one";
  EXPECT_EQ(draw_masked_regions(2, 2, 1.0, rng), (std::vector<std::int64_t>{0, 1, 2, 3}));
}

TEST(MaskedRegionDraw, HidesAllPatchesThatTouch) {
  const at::Tensor hidden = hidden_patches({1, 2, 3}, 2, {{0, 1}, {1, 2}}, 4);
  EXPECT_TRUE(at::equal(hidden, marks({0, 1, 1, 0, 1, 1, 1, 0}, 4)));
}

}  // namespace
}  // namespace vicha
