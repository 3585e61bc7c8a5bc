#include <ATen/ATen.h>

#include <limits>

#include "concepts/store/store.h"
#include "concepts/store/store_format.h"
#include "concepts/store/store_numbers.h"
#include "concepts/store/store_test_support.h"

namespace vicha::store_test {
namespace {

const FeatureLayout kPatchLayout{FeatureKind::kPatches, 2, 2, 3, "whole; flipped"};
const StoreShape kInt8Patches{37, 12, StoreType::kInt8, kPatchLayout};

void add_some(EmbeddingStoreWriter& writer, const at::Tensor& rows) {
  std::vector<std::string> keys;
  for (std::int64_t i = 0; i < rows.size(0); ++i) keys.push_back(key_of(i));
  writer.add(keys, std::vector<std::uint64_t>(keys.size(), 1), rows);
}

at::Tensor read_all(const EmbeddingStore& store) { return store.rows(store.newest()); }

TEST(Int8Store, ReadsWhatWasRoundedAndTellsTheLoss) {
  const Place place;
  at::manual_seed(3);
  const at::Tensor rows = at::randn({30, 12, 37}) * at::exp(at::randn({30, 12, 1}) * 4);
  rows[2][3].zero_();
  EmbeddingStoreWriter writer(place / "s", source(), kInt8Patches);
  add_some(writer, rows);
  writer.finish();
  const StoreLoss loss = writer.loss();
  EXPECT_EQ(loss.vectors, 30 * 12);
  const EmbeddingStore store = EmbeddingStore::open(place / "s");
  EXPECT_EQ(store.shape(), kInt8Patches);
  store.verify();
  const at::Tensor read = read_all(store);
  EXPECT_TRUE(((read - rows).abs() <= rows.abs().amax(-1, true) / 254 * 1.001).all().item<bool>());
  EXPECT_TRUE(read[2][3].eq(0).all().item<bool>());
  const at::Tensor a = read.to(at::kDouble), b = rows.to(at::kDouble);
  at::Tensor cosine = (a * b).sum(-1) / (a.norm(2, -1) * b.norm(2, -1));
  cosine = cosine.nan_to_num(1);
  EXPECT_NEAR(loss.mean(), cosine.mean().item<double>(), 1e-9);
  EXPECT_NEAR(loss.worst, cosine.min().item<double>(), 1e-9);
  EXPECT_GT(loss.worst, 0.999);
}

TEST(Int8Store, RoundingAgainChangesNothing) {
  const Place place;
  at::manual_seed(5);
  const at::Tensor rows = at::randn({200, 12, 37}) * at::exp(at::randn({200, 12, 1}) * 8);
  EmbeddingStoreWriter writer(place / "a", source(), kInt8Patches);
  add_some(writer, rows);
  writer.finish();
  const std::vector<fs::path> inputs = {place / "a"};
  merge_stores(inputs, place / "b");
  EXPECT_EQ(read_file(place / "a"), read_file(place / "b"));
}

TEST(Int8Store, LimitsOfNumbers) {
  constexpr float kMost = std::numeric_limits<float>::max();
  EXPECT_EQ(store_detail::int8_scale(0), 0);
  EXPECT_EQ(store_detail::int8_scale(127), 1);
  EXPECT_EQ(store_detail::int8_scale(1e-40F), 0);
  const Place place;
  const StoreShape shape{2, 1, StoreType::kInt8};
  EmbeddingStoreWriter writer(place / "s", source(), shape);
  for (const float bad : {kMost, std::numeric_limits<float>::infinity(), std::nanf("")}) {
    EXPECT_TRUE(contains(message_of([&] {
                           add_some(writer, at::tensor({1.0F, bad}).view({1, 1, 2}));
                         }),
                         "not finite as 1 x 2 int8"))
        << bad;
  }
  EXPECT_EQ(writer.size(), 0);
  EXPECT_EQ(writer.loss().vectors, 0);
  add_some(writer, at::tensor({1e-42F, kMost / 4, -1e-30F, 1e-30F}).view({2, 1, 2}));
  writer.finish();
  const at::Tensor read = read_all(EmbeddingStore::open(place / "s"));
  EXPECT_NEAR(read[0][0][1].item<double>() / (kMost / 4), 1, 1e-4);
  EXPECT_NEAR(read[1][0][0].item<double>(), -1e-30, 1e-34);
}

TEST(FeatureLayoutOfStores, OlderProgramsMeetItOnlyWhereItIsNeeded) {
  const auto version = [](const StoreShape& shape) { return store_detail::encode_file_header(source(), shape)[8]; };
  EXPECT_EQ(version({4, 1, StoreType::kFloat32}), 1);
  EXPECT_EQ(version({4, 1, StoreType::kFloat16}), 1);
  EXPECT_EQ(version({4, 1, StoreType::kInt8}), 2);
  EXPECT_EQ(version({4, 1, StoreType::kFloat16, FeatureLayout{}}), 2);
  // A layout that does not fit the vectors.
  EXPECT_TRUE(contains(message_of([] {
                         store_detail::check_shape({4, 5, StoreType::kFloat16, kPatchLayout}, "x");
                       }),
                       "features of 2x3 patches, 2 views (whole; flipped) are not 5 vectors"));
  for (const char* wrong : {"{}", "[]", R"({"kind": "pooled"})", R"({"kind": "other", "views": 1})",
                            R"({"kind": "patches", "views": 1, "rows": 2})", R"({"kind": "pooled", "views": 0})",
                            R"({"kind": "pooled", "views": 1, "view_list": 3})",
                            R"({"kind": "patches", "views": 1, "rows": 2, "columns": 99999999999})"}) {
    EXPECT_THROW(store_detail::layout_from_json(wrong, "x"), DataError) << wrong;
  }
  EXPECT_EQ(store_detail::layout_from_json(store_detail::layout_json(kPatchLayout), "x"), kPatchLayout);
}

TEST(FeatureLayoutOfStores, SurvivesExportImportAndMerge) {
  const Place place;
  at::manual_seed(6);
  EmbeddingStoreWriter writer(place / "s", source(), kInt8Patches);
  add_some(writer, at::randn({5, 12, 37}));
  writer.finish();
  const EmbeddingStore store = EmbeddingStore::open(place / "s");
  export_store(store, place / "s.safetensors");
  import_store(place / "s.safetensors", place / "int8", source(), StoreType::kInt8);
  EXPECT_EQ(read_file(place / "int8"), read_file(place / "s"));
  import_store(place / "s.safetensors", place / "half", source(), StoreType::kFloat16);
  EXPECT_EQ(EmbeddingStore::open(place / "half").shape().layout, kPatchLayout);
  // Without their layout the same numbers are other records.
  export_store(store, place / "s.npy");
  import_store(place / "s.npy", place / "plain", source(), StoreType::kInt8);
  EXPECT_TRUE(at::equal(read_all(EmbeddingStore::open(place / "plain")), read_all(store)));
  const std::vector<fs::path> both = {place / "s", place / "plain"};
  EXPECT_TRUE(contains(message_of([&] { merge_stores(both, place / "m"); }), "features of 2x3 patches"));
}

}  // namespace
}  // namespace vicha::store_test
