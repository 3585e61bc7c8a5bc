#include "concepts/store/nearest.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "concepts/store/nearest_index.h"
#include "nn/kernel_choice.h"

namespace vicha {
namespace {

at::Tensor random_vectors(std::int64_t rows, std::int64_t width, std::uint64_t seed) {
  at::Tensor x = at::empty({rows, width}, at::kFloat);
  Rng rng(seed);
  for (std::int64_t i = 0; i < x.numel(); ++i) x.data_ptr<float>()[i] = static_cast<float>(rng.normal());
  return x;
}

class Nearest : public testing::Test {
 protected:
  void SetUp() override {
    set_matmul_kernel("blas");
    log::set_level(log::Level::kError);
  }
  void TearDown() override { log::set_level(log::Level::kInfo); }
};

/// All cosines in double precision, sorted with the lower index first among equals.
NearestWords plain_path(const at::Tensor& words, const at::Tensor& images, std::int64_t k, double scale) {
  const auto unit = [](const at::Tensor& x) {
    const at::Tensor d = x.to(at::kDouble);
    return (d / d.norm(2, {1}, true)).to(at::kFloat).to(at::kDouble);
  };
  const at::Tensor cosines = at::mm(unit(images), unit(words).t());
  const at::Tensor order = cosines.argsort(/*stable=*/true, 1, /*descending=*/true).slice(1, 0, k).contiguous();
  const at::Tensor best = cosines.gather(1, order).contiguous();
  const at::Tensor probability = (cosines * scale).softmax(1).gather(1, order).contiguous();
  NearestWords result;
  result.images = images.size(0);
  result.k = k;
  for (std::int64_t i = 0; i < order.numel(); ++i) {
    result.words.push_back(static_cast<std::int32_t>(order.const_data_ptr<std::int64_t>()[i]));
    result.cosines.push_back(static_cast<float>(best.const_data_ptr<double>()[i]));
    result.probabilities.push_back(static_cast<float>(probability.const_data_ptr<double>()[i]));
  }
  return result;
}

TEST_F(Nearest, EqualsThePlainPathWhateverTheBlocks) {
  const at::Tensor words = random_vectors(700, 33, 1) * 3, images = random_vectors(41, 33, 2);
  const NearestWords wanted = plain_path(words, images, 15, 20.0);
  for (const auto& [block_images, block_words] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{512, 8192}, {7, 100}, {1, 97}, {41, 60}}) {
    NearestOptions options{.probabilities = true, .scale = 20.0};
    options.block_images = block_images;
    options.block_words = block_words;
    const NearestWords got = WordMatcher(words, options).nearest(images);
    EXPECT_EQ(got.words, wanted.words);
    ASSERT_EQ(got.cosines.size(), wanted.cosines.size());
    for (std::size_t i = 0; i < got.cosines.size(); ++i) {
      EXPECT_NEAR(got.cosines[i], wanted.cosines[i], 1e-7);
      EXPECT_NEAR(got.probabilities[i], wanted.probabilities[i], 1e-5 * wanted.probabilities[i] + 1e-9);
    }
  }
}

TEST_F(Nearest, OfEqualWordsTheLowerIndexComesFirst) {
  const at::Tensor distinct = random_vectors(5, 16, 3);
  const at::Tensor words = distinct.repeat({60, 1});  // word i equals word i + 5
  const at::Tensor images = random_vectors(9, 16, 4);
  NearestOptions options{.k = 70};
  options.block_words = 32;
  const NearestWords got = WordMatcher(words, options).nearest(images);
  EXPECT_EQ(got.words, plain_path(words, images, 70, 1.0).words);
  for (std::int64_t i = 0; i < got.images; ++i) {
    const auto best = got.words_of(i);
    for (std::int64_t j = 1; j < 60; ++j) EXPECT_EQ(best[j], best[j - 1] + 5);
    EXPECT_NE(best[60] % 5, best[0] % 5);
  }
}

TEST_F(Nearest, FewerWordsThanAskedForAreAllGiven) {
  const NearestWords got = WordMatcher(random_vectors(4, 8, 5), {}).nearest(random_vectors(2, 8, 6));
  EXPECT_EQ(got.k, 4);
  EXPECT_EQ(got.words.size(), 8u);
  const NearestWords none = WordMatcher(random_vectors(4, 8, 5), {}).nearest(at::empty({0, 8}));
  EXPECT_EQ(none.images, 0);
  EXPECT_TRUE(none.words.empty());
}

TEST_F(Nearest, BadVectorsAreNamed) {
  at::Tensor images = random_vectors(6, 8, 7);
  WordMatcher matcher(random_vectors(20, 8, 8), {});
  images[4][1] = std::numeric_limits<float>::infinity();
  try {
    matcher.nearest(images);
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("number 4"), std::string::npos) << error.what();
  }
  EXPECT_THROW(WordMatcher(at::zeros({2, 8}), {}), DataError);
  EXPECT_THROW(WordMatcher(at::empty({0, 8}), {}), DataError);
  EXPECT_THROW(matcher.nearest(random_vectors(1, 9, 9)), DataError);
}

/// Words in bundles, as words of a language lie; images near them.
at::Tensor bundled(std::int64_t rows, std::int64_t bundles, std::int64_t width, double spread, std::uint64_t seed) {
  const at::Tensor centres = random_vectors(bundles, width, 11);
  return centres.repeat({(rows + bundles - 1) / bundles, 1}).slice(0, 0, rows) +
         random_vectors(rows, width, seed) * spread;
}

TEST_F(Nearest, AnIndexFindsNearlyAllAndScoresThemExactly) {
  const at::Tensor words = bundled(6000, 300, 24, 0.4, 12), images = bundled(90, 300, 24, 0.3, 13);
  NearestOptions options{.k = 10, .approximate = Approximate::kAlways, .recall = 0.98};
  options.block_images = 40;
  WordMatcher matcher(words, options);
  const NearestWords got = matcher.nearest(images);
  ASSERT_TRUE(matcher.approximate());
  const NearestWords wanted = plain_path(words, images, 10, 1.0);
  std::int64_t same = 0;
  for (std::int64_t i = 0; i < got.images; ++i) {
    const auto found = got.words_of(i), right = wanted.words_of(i);
    for (std::int64_t j = 0; j < 10; ++j) {
      const auto place = std::find(right.begin(), right.end(), found[j]);
      if (place == right.end()) continue;
      ++same;
      EXPECT_NEAR(got.cosines_of(i)[j], wanted.cosines_of(i)[place - right.begin()], 1e-7);
    }
  }
  EXPECT_GE(same, 0.98 * 900);
  EXPECT_EQ(WordMatcher(words, options).nearest(images).words, got.words);
}

TEST_F(Nearest, WithoutBundlesAllWordsAreCompared) {
  const at::Tensor words = random_vectors(2000, 64, 14), images = random_vectors(30, 64, 15);
  WordMatcher matcher(words, {.k = 10, .approximate = Approximate::kAlways, .recall = 0.999});
  EXPECT_EQ(matcher.nearest(images).words, plain_path(words, images, 10, 1.0).words);
  EXPECT_FALSE(matcher.approximate());
  EXPECT_FALSE(WordMatcher(words, {.probabilities = true, .approximate = Approximate::kAlways}).approximate());
}

TEST_F(Nearest, AnIndexOfVeryFewWordsStillGivesAll) {
  const at::Tensor words = random_vectors(9, 8, 16), images = random_vectors(3, 8, 17);
  WordMatcher matcher(words, {.k = 9, .approximate = Approximate::kAlways, .recall = 0.5});
  EXPECT_EQ(matcher.nearest(images).words, plain_path(words, images, 9, 1.0).words);
}

}  // namespace
}  // namespace vicha
