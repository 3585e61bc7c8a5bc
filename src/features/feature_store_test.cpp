#include "features/feature_store.h"

#include <ATen/ATen.h>

#include "concepts/embed/captions.h"
#include "features/features_test_support.h"

namespace vicha {
namespace {

using namespace features_test;

const SourceWeights kSource{"toy", "a toy", std::string(64, 'a'), "stretched"};

class FeatureStoreTest : public FeatureFolder {
 protected:
  /// Records 0 to count - 1 under the keys "0", "1", …
  at::Tensor write(const std::string& name, const StoreShape& shape, std::int64_t count) const {
    at::manual_seed(4);
    const at::Tensor rows = at::randn({count, shape.vectors, shape.width}) * 3;
    EmbeddingStoreWriter writer(folder_ / name, kSource, shape);
    for (std::int64_t i = 0; i < count; ++i) {
      writer.add(std::vector<std::string>{std::to_string(i)}, std::vector<std::uint64_t>{1}, rows.narrow(0, i, 1));
    }
    writer.finish();
    return rows;
  }
};

constexpr std::int64_t kWidth = 37;  // no multiple of what a processor converts at a time

StoreShape patches_of(StoreType type, std::int64_t views = 2) {
  return {kWidth, views * 6, type, FeatureLayout{FeatureKind::kPatches, views, 2, 3}};
}

TEST_F(FeatureStoreTest, GatherReadsTheViewsThatAreAskedFor) {
  for (const StoreType type : {StoreType::kFloat32, StoreType::kFloat16, StoreType::kInt8}) {
    const std::string name(to_string(type));
    const at::Tensor rows = write(name, patches_of(type), 50);
    const FeatureStore store = FeatureStore::open(folder_ / name, FeatureKind::kPatches);
    EXPECT_EQ(store.layout(), (FeatureLayout{FeatureKind::kPatches, 2, 2, 3}));
    const std::vector<std::int64_t> records = {7, 0, 49, 7, 13}, views = {0, 1, 1, 1, 0};
    const at::Tensor got = store.gather(records, views), whole = store.store().rows(records);
    ASSERT_EQ(got.sizes(), (std::vector<std::int64_t>{5, 6, kWidth}));
    for (std::int64_t i = 0; i < 5; ++i) {
      const std::int64_t view = views[static_cast<std::size_t>(i)];
      EXPECT_TRUE(at::equal(got[i], whole[i].narrow(0, view * 6, 6)));
      const at::Tensor wanted = rows[records[static_cast<std::size_t>(i)]].narrow(0, view * 6, 6);
      if (type != StoreType::kInt8) {
        const at::ScalarType kept = type == StoreType::kFloat16 ? at::kHalf : at::kFloat;
        EXPECT_TRUE(at::equal(got[i], wanted.to(kept).to(at::kFloat)));
        continue;
      }
      // Half a step, a 254th of the largest number, at most.
      const at::Tensor step = wanted.abs().amax(1, true) / 254;
      EXPECT_TRUE(((got[i] - wanted).abs() <= step * 1.001).all().item<bool>());
    }
    EXPECT_TRUE(at::equal(store.gather(records), store.gather(records, std::vector<std::int64_t>(5, 0))));
    const FeatureStore::Stored stored = store.load(records);
    at::Tensor loaded = stored.rows.to(at::kFloat);
    if (stored.scale.defined()) loaded = loaded * stored.scale.unsqueeze(1);
    EXPECT_TRUE(at::equal(loaded.view({5, 12, kWidth}), whole));
  }
}

TEST_F(FeatureStoreTest, EveryHalfIsReadAsItIs) {
  const at::Tensor bits = at::arange(0x10000, at::kInt).to(at::kShort);
  const at::Tensor halves = bits.view(at::kHalf);
  const at::Tensor finite = halves.masked_select(at::isfinite(halves)).to(at::kFloat);
  EmbeddingStoreWriter writer(folder_ / "s", kSource, {finite.numel(), 1, StoreType::kFloat16});
  writer.add(std::vector<std::string>{"all"}, std::vector<std::uint64_t>{1}, finite.unsqueeze(0));
  writer.finish();
  const at::Tensor read = EmbeddingStore::open(folder_ / "s").rows(std::vector<std::int64_t>{0})[0][0];
  EXPECT_TRUE(at::equal(read, finite));
}

TEST_F(FeatureStoreTest, MissingRecordsAreAskedForByTheirCommand) {
  write("f.patches", patches_of(StoreType::kFloat16, 1), 3);
  const FeatureStore store = FeatureStore::open(folder_ / "f.patches", FeatureKind::kPatches);
  EXPECT_EQ(store.records_of(std::vector<std::string>{"2", "0", "2"}, "m.json"), (std::vector<std::int64_t>{2, 0, 2}));
  const std::string said = message([&] {
    store.records_of(std::vector<std::string>{"0", "9", "1", "8"}, "train.json");
  });
  const std::string file = (folder_ / "f").string();
  for (const std::string& part : {std::string("train.json: 2 of its 4 pictures"), std::string("the first is \"9\""),
                                  "vicha embed train.json --tower toy:FILE --patches --out " + file}) {
    EXPECT_TRUE(contains(said, part));
  }
  EXPECT_FALSE(said.find("--out " + file + ".patches") != std::string::npos) << said;
}

TEST_F(FeatureStoreTest, LongTextsAreFoundUnderTheirKey) {
  const std::string text(100000, 'x');
  EmbeddingStoreWriter writer(folder_ / "t", kSource,
                              {2, 1, StoreType::kFloat32, FeatureLayout{.kind = FeatureKind::kTexts}});
  writer.add(std::vector<std::string>{caption_key(text)}, std::vector<std::uint64_t>{0}, at::ones({1, 2}));
  writer.finish();
  EXPECT_EQ(
      FeatureStore::open(folder_ / "t", FeatureKind::kTexts).records_of(std::vector<std::string>{text}, "m").size(),
      1U);
}

TEST_F(FeatureStoreTest, OtherFeaturesAreRefused) {
  write("f", {kWidth, 2, StoreType::kFloat16, FeatureLayout{.views = 2, .view_list = "whole; flipped"}}, 3);
  write("f.patches", patches_of(StoreType::kFloat16), 3);
  write("plain", {kWidth, 1, StoreType::kFloat16}, 3);
  write("regions", {kWidth, 5, StoreType::kFloat16}, 3);
  const auto refused = [&](const char* name, FeatureKind kind) {
    return message([&] { FeatureStore::open(folder_ / name, kind); });
  };
  EXPECT_TRUE(contains(refused("f", FeatureKind::kPatches),
                       "holds pooled features, 2 views (whole; flipped), and wanted are patches"));
  EXPECT_TRUE(contains(refused("f", FeatureKind::kPatches), "f.patches"));
  EXPECT_TRUE(contains(refused("f.patches", FeatureKind::kPooled), "holds features of 2x3 patches, 2 views"));
  EXPECT_TRUE(contains(refused("f", FeatureKind::kTexts), "wanted are features of texts"));
  EXPECT_TRUE(contains(refused("regions", FeatureKind::kPooled), "concepts embed"));
  EXPECT_TRUE(contains(refused("plain", FeatureKind::kPatches), "concepts embed"));
  EXPECT_EQ(FeatureStore::open(folder_ / "plain", FeatureKind::kPooled).layout(), FeatureLayout{});
  EXPECT_EQ(FeatureStore::open(folder_ / "plain", FeatureKind::kTexts).layout().kind, FeatureKind::kTexts);

  require_embeddings(EmbeddingStore::open(folder_ / "f"), FeatureKind::kPooled);
  require_embeddings(EmbeddingStore::open(folder_ / "plain"), FeatureKind::kTexts);
  EXPECT_TRUE(
      contains(message([&] { require_embeddings(EmbeddingStore::open(folder_ / "f.patches"), FeatureKind::kPooled); }),
               "wanted is one embedding of each picture"));
  EXPECT_TRUE(contains(message([&] { require_embeddings(EmbeddingStore::open(folder_ / "f"), FeatureKind::kTexts); }),
                       "caption"));
}

}  // namespace
}  // namespace vicha
