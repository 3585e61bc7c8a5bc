#include "search/nearest_rows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "concepts/store/store.h"
#include "nn/kernel_choice.h"
#include "search/clusters.h"
#include "search/index_files.h"
#include "search/picture_hash.h"

namespace vicha {
namespace {

class NearestRows : public testing::Test {
 protected:
  void SetUp() override {
    set_matmul_kernel("blas");
    folder_ = fs::temp_directory_path() / ("vicha_nearest_rows_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::vector<float> random_unit(Rng& rng, std::int64_t width) {
    std::vector<float> x(static_cast<std::size_t>(width));
    double square = 0;
    for (float& v : x) {
      v = static_cast<float>(rng.normal());
      square += static_cast<double>(v) * static_cast<double>(v);
    }
    for (float& v : x) v = static_cast<float>(static_cast<double>(v) / std::sqrt(square));
    return x;
  }

  /// `rows` around a few directions, so that many lie close together.
  void write(std::int64_t rows, std::int64_t width, double spread, bool clusters) {
    Rng rng(5);
    std::vector<std::vector<float>> topics;
    for (int i = 0; i < 12; ++i) topics.push_back(random_unit(rng, width));
    at::Tensor x = at::empty({rows, width}, at::kFloat);
    std::vector<std::string> keys;
    std::vector<std::uint64_t> contents;
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::vector<float> noise = random_unit(rng, width);
      const std::vector<float>& topic = topics[rng.below(topics.size())];
      for (std::int64_t j = 0; j < width; ++j) {
        x[i][j] = topic[static_cast<std::size_t>(j)] + static_cast<float>(spread) * noise[static_cast<std::size_t>(j)];
      }
      keys.push_back(content_key(static_cast<std::uint64_t>(i)));
      contents.push_back(static_cast<std::uint64_t>(i) + 1);
    }
    fs::remove(folder_ / "v.emb");
    EmbeddingStoreWriter writer(folder_ / "v.emb", {"test", "t", std::string(64, 'a'), "none"},
                                {width, 1, StoreType::kFloat16});
    writer.add(keys, contents, x);
    writer.finish();
    CodesContent content;
    content.vector_offsets = vector_offsets(folder_ / "v.emb");
    content.picture_hashes = contents;
    content.file_begin.resize(static_cast<std::size_t>(rows) + 1);
    std::iota(content.file_begin.begin(), content.file_begin.end(), 0u);
    content.files_of_rows.assign(content.file_begin.begin(), content.file_begin.end() - 1);
    content.line_begin.assign(static_cast<std::size_t>(rows) + 1, 0);
    offsets_ = content.vector_offsets;
    vectors_.emplace(folder_ / "v.emb", offsets_, width);
    if (clusters) {
      RowClusters found = cluster_rows(*vectors_);
      content.centroids = std::move(found.centroids);
      content.cluster_of_rows = std::move(found.of_rows);
    }
    write_codes(folder_ / "codes.bin", *vectors_, content);
    codes_.emplace(folder_ / "codes.bin");
  }

  std::vector<Neighbour> plain(const std::vector<float>& query, std::int64_t k) const {
    std::vector<Neighbour> all;
    for (std::int64_t row = 0; row < vectors_->size(); ++row) all.push_back({row, vectors_->cosine(row, query)});
    std::sort(all.begin(), all.end(), [](const Neighbour& a, const Neighbour& b) {
      return a.cosine != b.cosine ? a.cosine > b.cosine : a.row < b.row;
    });
    all.resize(static_cast<std::size_t>(std::min<std::int64_t>(k, vectors_->size())));
    return all;
  }

  fs::path folder_;
  std::vector<std::uint64_t> offsets_;
  std::optional<StoredVectors> vectors_;
  std::optional<Codes> codes_;
};

TEST_F(NearestRows, AreThoseOfComparingEverything) {
  for (const auto& [width, spread] : {std::pair<std::int64_t, double>{70, 0.05}, {64, 0.5}, {3, 1.0}, {200, 3.0}}) {
    write(2500, width, spread, false);
    Rng rng(11);
    for (const std::int64_t k : {1, 10, 300, 5000}) {
      const std::vector<float> query = random_unit(rng, width);
      const std::vector<Neighbour> right = plain(query, k), found = nearest_rows(*codes_, *vectors_, query, k, 0);
      ASSERT_EQ(found.size(), right.size());
      for (std::size_t i = 0; i < right.size(); ++i) {
        EXPECT_EQ(found[i].row, right[i].row) << width << " " << k << " " << i;
        EXPECT_EQ(found[i].cosine, right[i].cosine);
      }
    }
  }
}

TEST_F(NearestRows, ByClustersAreWhatTheMeasuredRecallSays) {
  write(6000, 32, 0.7, true);
  Rng rng(3);
  std::vector<std::vector<float>> queries;
  for (int i = 0; i < 40; ++i) queries.push_back(random_unit(rng, 32));
  for (const double wanted : {0.5, 0.9}) {
    const RecallReport report = measure_recall(*codes_, *vectors_, queries, wanted);
    EXPECT_GE(report.recall, wanted);
    double found = 0;
    for (const std::vector<float>& query : queries) {
      const std::vector<Neighbour> right = plain(query, 10);
      for (const Neighbour& n : nearest_rows(*codes_, *vectors_, query, 10, report.looked_at)) {
        found += std::any_of(right.begin(), right.end(), [&](const Neighbour& r) { return r.row == n.row; }) ? 1 : 0;
      }
    }
    EXPECT_NEAR(found / 400, report.recall, 1e-9);
  }
  // All clusters: everything, whatever the order of the slots.
  const std::vector<Neighbour> right = plain(queries[0], 50), all = nearest_rows(*codes_, *vectors_, queries[0], 50, 0);
  for (std::size_t i = 0; i < right.size(); ++i) EXPECT_EQ(all[i].row, right[i].row);
  set_looked_at(folder_ / "codes.bin", 4);
  EXPECT_EQ(Codes(folder_ / "codes.bin").header().looked_at, 4);
}

TEST_F(NearestRows, SpreadIsThatOfAllCosines) {
  write(900, 40, 0.8, false);
  Rng rng(2);
  const std::vector<float> query = random_unit(rng, 40);
  double sum = 0, square = 0;
  for (const Neighbour& n : plain(query, 900)) {
    sum += n.cosine;
    square += n.cosine * n.cosine;
  }
  const Spread spread = spread_of(*codes_, query);
  EXPECT_NEAR(spread.mean, sum / 900, 1e-5);
  EXPECT_NEAR(spread.deviation, std::sqrt(square / 900 - sum / 900 * sum / 900), 1e-4);
}

TEST(PictureHash, StaysWhenAPictureIsScaledAndTellsOthersApart) {
  const auto planes = [](std::int64_t side, double shift) {
    std::vector<float> x(static_cast<std::size_t>(3 * side * side));
    for (std::int64_t p = 0; p < 3; ++p) {
      for (std::int64_t i = 0; i < side * side; ++i) {
        const double u = static_cast<double>(i % side) / static_cast<double>(side);
        const double v = static_cast<double>(i / side) / static_cast<double>(side);
        x[static_cast<std::size_t>(p * side * side + i)] =
            static_cast<float>(std::sin(7 * u + shift) + std::cos(5 * v * u));
      }
    }
    return x;
  };
  const std::uint64_t one = picture_hash(planes(72, 0), 72);
  EXPECT_LE(hash_distance(one, picture_hash(planes(144, 0), 144)), 3);
  EXPECT_GT(hash_distance(one, picture_hash(planes(72, 2.5), 72)), 8);
  EXPECT_EQ(picture_hash(std::vector<float>(3 * 16 * 16, 0.5f), 16), 1u);
}

}  // namespace
}  // namespace vicha
