// Recall against its definition, what must not change it, and scores that are none.
#include "metrics/recall.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "base/error.h"
#include "base/random.h"

namespace vicha {
namespace {

using RightOnes = std::vector<std::vector<std::int64_t>>;

/// Scores in few steps, so that there are ties everywhere.
at::Tensor coarse_scores(std::int64_t rows, std::int64_t columns, std::int64_t steps) {
  return at::randint(steps, {rows, columns}).to(at::kFloat);
}

RightOnes some_right(std::int64_t rows, std::int64_t columns, Rng& rng) {
  RightOnes right(static_cast<std::size_t>(rows));
  for (auto& of_row : right) {
    for (std::uint64_t n = 1 + rng.below(3); n > 0; --n) {
      of_row.push_back(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(columns))));
    }
  }
  return right;
}

/// By sorting: share of the rows with a right column among the first k, in percent.
double by_sorting(const at::Tensor& scores, const RightOnes& right, std::int64_t k) {
  double found = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    const at::Tensor row = scores[static_cast<std::int64_t>(i)].contiguous();
    std::vector<std::int64_t> order(static_cast<std::size_t>(row.size(0)));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::greater<>(), [&](std::int64_t j) { return row.data_ptr<float>()[j]; });
    order.resize(static_cast<std::size_t>(std::min(k, row.size(0))));
    found += std::ranges::any_of(right[i], [&](std::int64_t j) { return std::ranges::count(order, j) != 0; });
  }
  return 100.0 * found / static_cast<double>(right.size());
}

void expect_equal(const Recalls& a, const Recalls& b) {
  for (const NamedRecall& recall : kNamedRecalls) EXPECT_DOUBLE_EQ(a.*recall.value, b.*recall.value) << recall.name;
}

TEST(Recall, EqualsSortingWithTies) {
  Rng rng(1);
  at::manual_seed(1);
  for (int trial = 0; trial < 40; ++trial) {
    const auto images = static_cast<std::int64_t>(1 + rng.below(9)),
               texts = static_cast<std::int64_t>(1 + rng.below(30));
    const at::Tensor i2t = coarse_scores(images, texts, 1 + trial % 7),
                     t2i = coarse_scores(texts, images, 1 + trial % 5);
    const RightOnes texts_of = some_right(images, texts, rng), images_of = some_right(texts, images, rng);
    const RetrievalMetrics m = retrieval_metrics(i2t, t2i, texts_of, images_of);
    const std::int64_t ks[] = {1, 5, 10};
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_DOUBLE_EQ(m.text.*kNamedRecalls[k].value, by_sorting(i2t, texts_of, ks[k]));
      EXPECT_DOUBLE_EQ(m.image.*kNamedRecalls[k].value, by_sorting(t2i, images_of, ks[k]));
    }
    EXPECT_LE(m.text.r1, m.text.r5);
    EXPECT_LE(m.text.r5, m.text.r10);
    EXPECT_DOUBLE_EQ(m.mean(), (m.text.mean() + m.image.mean()) / 2);
  }
}

/// A model that says the same of everything finds what happens to stand first, not everything.
TEST(Recall, EqualScoresRankByIndex) {
  RightOnes right;
  for (std::int64_t i = 0; i < 20; ++i) right.push_back({i});
  const at::Tensor same = at::full({20, 20}, 0.3);
  const RetrievalMetrics m = retrieval_metrics(same, same, right, right);
  expect_equal(m.text, {5, 25, 50});
  expect_equal(m.image, {5, 25, 50});
}

TEST(Recall, TheBestOfSeveralRightOnesCounts) {
  const at::Tensor row = at::arange(12).to(at::kFloat).view({1, 12});  // column 11 is first
  const auto of = [&](std::vector<std::int64_t> right) {
    return retrieval_metrics(row, row, {right}, RightOnes{right}).text;
  };
  expect_equal(of({0, 1}), {0, 0, 0});
  expect_equal(of({0, 2}), {0, 0, 100});
  expect_equal(of({2, 7}), {0, 100, 100});
  expect_equal(of({11, 0}), {100, 100, 100});
  expect_equal(of({0, 11}), {100, 100, 100});
}

TEST(Recall, DependsOnTheOrderAlone) {
  Rng rng(2);
  at::manual_seed(2);
  const at::Tensor i2t = coarse_scores(12, 17, 6), t2i = coarse_scores(17, 12, 6);
  const RightOnes texts_of = some_right(12, 17, rng), images_of = some_right(17, 12, rng);
  const RetrievalMetrics m = retrieval_metrics(i2t, t2i, texts_of, images_of);
  const auto same = [&](const RetrievalMetrics& other) {
    expect_equal(m.text, other.text);
    expect_equal(m.image, other.image);
  };
  same(retrieval_metrics(i2t * 0.25 - 100.0, t2i.exp(), texts_of, images_of));
  same(retrieval_metrics(i2t.to(at::kDouble), t2i.t().contiguous().t(), texts_of, images_of));
  // Another order of the queries.
  const auto turned = [](const RightOnes& right) { return RightOnes(right.rbegin(), right.rend()); };
  same(retrieval_metrics(i2t.flip(0), t2i.flip(0), turned(texts_of), turned(images_of)));
  // Candidates that are worse than all others.
  const at::Tensor worse = at::full({12, 4}, -1.0);
  expect_equal(m.text, retrieval_metrics(at::cat({i2t, worse}, 1), t2i, texts_of, images_of).text);
}

TEST(Recall, OnePictureATextIsTheShortForm) {
  Rng rng(3);
  at::manual_seed(3);
  const at::Tensor i2t = coarse_scores(5, 8, 4), t2i = coarse_scores(8, 5, 4);
  const RightOnes texts_of = some_right(5, 8, rng);
  std::vector<std::int64_t> image_of;
  RightOnes images_of;
  for (std::int64_t t = 0; t < 8; ++t) {
    image_of.push_back(t % 5);
    images_of.push_back({t % 5});
  }
  const RetrievalMetrics a = retrieval_metrics(i2t, t2i, texts_of, image_of),
                         b = retrieval_metrics(i2t, t2i, texts_of, images_of);
  expect_equal(a.image, b.image);
  expect_equal(a.text, b.text);
}

TEST(Recall, NoQueriesFindNothing) {
  const RetrievalMetrics m = retrieval_metrics(at::empty({0, 3}), at::empty({3, 0}), {}, RightOnes{});
  EXPECT_EQ(m.mean(), 0.0);
}

std::string refusal(const at::Tensor& i2t, const at::Tensor& t2i) {
  RightOnes rows, columns;
  for (std::int64_t i = 0; i < i2t.size(0); ++i) rows.push_back({0});
  for (std::int64_t i = 0; i < t2i.size(0); ++i) columns.push_back({0});
  try {
    retrieval_metrics(i2t, t2i, rows, columns);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

/// Without the check a model whose scores are all NaN has a recall of 100 %: nothing is greater than they are.
TEST(Recall, RefusesScoresThatAreNotFinite) {
  const at::Tensor good = at::randn({4, 6}), good_t = at::randn({6, 4});
  EXPECT_EQ(refusal(good, good_t), "");
  constexpr float kBad[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()};
  for (const float bad : kBad) {
    at::Tensor i2t = good.clone(), t2i = good_t.clone();
    i2t[2][4] = i2t[2][5] = i2t[3][0] = bad;
    EXPECT_NE(refusal(i2t, good_t).find("texts for each picture, row 2, column 4: "), std::string::npos)
        << refusal(i2t, good_t);
    t2i[5][0] = bad;
    EXPECT_NE(refusal(good, t2i).find("pictures for each text, row 5, column 0: "), std::string::npos)
        << refusal(good, t2i);
  }
  EXPECT_NE(refusal(at::full({4, 6}, kBad[0]), good_t).find("row 0, column 0"), std::string::npos);
}

}  // namespace
}  // namespace vicha
