#include "models/batch.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

namespace vicha {
namespace {

struct Scores : BatchTargets {
  at::Tensor values, weights;
  std::int64_t classes = 0;

  void for_each_tensor(const TensorVisit& visit) override {
    visit(values);
    visit(weights);
  }
};

struct Words : BatchTargets {
  at::Tensor ids, labels;
  std::vector<std::int64_t> positions;

  void for_each_tensor(const TensorVisit& visit) override {
    visit(ids);
    visit(labels);
  }
};

struct OtherScores : Scores {};

Batch whole_batch() {
  Batch batch;
  batch.image = at::zeros({2, 3, 4, 4});
  batch.text = {at::ones({2, 5}, at::kLong), {5, 3}};
  batch.image_ids = at::ones({2}, at::kLong);
  batch.caption_ids = at::ones({2}, at::kLong);
  batch.records = {4, 1};
  return batch;
}

TEST(Batch, TargetsAreFoundByTheirType) {
  Batch batch = whole_batch();
  EXPECT_EQ(batch.find<Scores>(), nullptr);
  batch.add<Scores>().classes = 7;
  OtherScores other;
  other.classes = 9;
  EXPECT_EQ(batch.add(other).classes, 9);
  const Batch moved = std::move(batch);
  ASSERT_NE(moved.find<Scores>(), nullptr);
  EXPECT_EQ(moved.find<Scores>()->classes, 7);
  EXPECT_EQ(moved.get<OtherScores>().classes, 9);
  EXPECT_EQ(moved.find<Words>(), nullptr);
}

TEST(Batch, TargetsOfATypeAreThereOnce) {
  Batch batch = whole_batch();
  EXPECT_ANY_THROW(batch.get<Scores>());
  batch.add<Scores>();
  EXPECT_ANY_THROW(batch.add<Scores>());
  batch.find<Scores>()->classes = 3;
  EXPECT_EQ(batch.get<Scores>().classes, 3);
}

TEST(Batch, EveryTensorMovesThoseOfTheTargetsToo) {
  Batch batch = whole_batch();
  Words& masked = batch.add<Words>();
  masked.ids = at::ones({2, 5}, at::kLong);
  masked.positions = {1, 6};
  masked.labels = at::ones({2}, at::kLong);
  batch.add<Scores>().values = at::ones({2});

  std::set<const void*> seen;
  batch.for_each_tensor([&](at::Tensor& tensor) { seen.insert(&tensor); });
  EXPECT_EQ(seen.size(), 7u) << "each defined tensor once";

  const Batch moved = std::move(batch).to(at::kMeta, /*non_blocking=*/true);
  for (const at::Tensor& tensor : {moved.image, moved.image_ids, moved.caption_ids, moved.get<Words>().ids,
                                   moved.get<Words>().labels, moved.get<Scores>().values}) {
    EXPECT_TRUE(tensor.is_meta());
  }
  EXPECT_TRUE(moved.text.ids.is_cpu()) << "the host packs them";
  EXPECT_FALSE(moved.concepts.defined());
  EXPECT_FALSE(moved.get<Scores>().weights.defined());
  EXPECT_EQ(moved.text.lengths, (std::vector<std::int64_t>{5, 3}));
  EXPECT_EQ(moved.records, (std::vector<std::int64_t>{4, 1}));
  EXPECT_EQ(moved.get<Words>().positions, (std::vector<std::int64_t>{1, 6}));
}

}  // namespace
}  // namespace vicha
