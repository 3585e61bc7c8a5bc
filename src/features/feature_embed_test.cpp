#include "features/feature_embed.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "features/features_test_support.h"

namespace vicha {
namespace {

using namespace features_test;

class FeatureEmbed : public FeatureFolder {
 protected:
  struct Toy {
    ToyTower* tower;
    std::unique_ptr<PictureEncoder> encoder;
  };
  static Toy toy(char digit = 'a') {
    auto tower = std::make_unique<ToyTower>(toy_input(), digit);
    ToyTower* const seen = tower.get();
    return {seen, std::make_unique<PictureEncoder>(std::move(tower))};
  }
  EmbedReport embed(const PictureEncoder& encoder, const fs::path& manifest, const std::string& store,
                    const FeatureEmbedOptions& options = {}) const {
    return embed_features(encoder, list_images({manifest}), folder_ / store, options);
  }
};

FeatureEmbedOptions with_patches(StoreType type = StoreType::kFloat16) {
  FeatureEmbedOptions options;
  options.embed.type = type;
  options.patches = true;
  options.views = views_named("flip+crops:2");
  return options;
}

TEST_F(FeatureEmbed, StoresHoldWhatTheTowerGivesOfEachView) {
  const Toy toy = FeatureEmbed::toy();
  const FeatureEmbedOptions options = with_patches(StoreType::kFloat32);
  const EmbedReport report = embed(*toy.encoder, write_pictures(11), "s", options);
  EXPECT_EQ(report.images, 11);
  EXPECT_EQ(report.embedded, 11);
  ASSERT_EQ(report.stores.size(), 2U);
  EXPECT_EQ(report.stores[1].bytes, fs::file_size(folder_ / "s.patches"));
  const FeatureStore pooled = FeatureStore::open(folder_ / "s", FeatureKind::kPooled);
  const FeatureStore patches = FeatureStore::open(folder_ / "s.patches", FeatureKind::kPatches);
  EXPECT_EQ(pooled.layout().view_list, describe_views(options.views));
  EXPECT_EQ(patches.layout(), (FeatureLayout{FeatureKind::kPatches, 4, 2, 3, pooled.layout().view_list}));
  EXPECT_TRUE(pooled.source().same(toy.encoder->weights()));
  ASSERT_EQ(pooled.store().size(), 11);
  for (std::int64_t i = 0; i < 11; ++i) {
    const std::string name = "images/" + std::to_string(i) + ".png";
    EXPECT_EQ(pooled.store().key(i), name);
    const Image image = load_rgb(folder_ / name);
    for (std::int64_t v = 0; v < 4; ++v) {
      const at::Tensor pixels = at::empty({1, 3, 8, 12});
      toy.encoder->prepare(image, options.views[static_cast<std::size_t>(v)], {pixels.data_ptr<float>(), 288});
      const TowerFeatures f = toy.encoder->encode(pixels, true);
      const std::vector<std::int64_t> record = {i}, view = {v};
      EXPECT_TRUE(at::allclose(pooled.gather(record, view)[0], f.pooled_BP, 1e-5, 1e-5));
      EXPECT_TRUE(at::allclose(patches.gather(record, view)[0], f.patches_BND[0], 1e-5, 1e-5));
    }
  }
}

TEST_F(FeatureEmbed, KillsAndThreadsChangeNoBit) {
  const fs::path manifest = write_pictures(37);
  for (const StoreType type : {StoreType::kFloat16, StoreType::kInt8}) {
    const std::string name(to_string(type)), whole = name + ".whole", parts = name + ".parts";
    FeatureEmbedOptions options = with_patches(type);
    options.embed.threads = 2;
    embed(*toy().encoder, manifest, whole, options);
    options.embed.threads = 1;
    const Toy dying = toy();
    dying.tower->die_after = 60;  // views
    EXPECT_THROW(embed(*dying.encoder, manifest, parts, options), Error);
    const EmbedReport second = embed(*toy().encoder, manifest, parts, options);
    EXPECT_EQ(second.known + second.embedded, 37);
    // Each store cut where a kill leaves it: one may be ahead of the other.
    fs::resize_file(folder_ / (parts + ".patches"), fs::file_size(folder_ / (parts + ".patches")) - 37);
    const EmbedReport last = embed(*toy().encoder, manifest, parts, options);
    EXPECT_GT(last.embedded, 0);
    expect_same_records(folder_ / whole, folder_ / parts);
    expect_same_records(folder_ / (whole + ".patches"), folder_ / (parts + ".patches"));
    EXPECT_EQ(embed(*toy().encoder, manifest, parts, options).known, 37);
  }
}

TEST_F(FeatureEmbed, APictureThatChangedAndPatchesThatLackAreAdded) {
  const fs::path manifest = write_pictures(10);
  embed(*toy().encoder, manifest, "s");
  write_picture("7.png", 99);
  const EmbedReport changed = embed(*toy().encoder, manifest, "s");
  EXPECT_EQ(changed.embedded, 1);
  EXPECT_EQ(changed.known, 9);
  FeatureEmbedOptions more;
  more.patches = true;
  const EmbedReport patches = embed(*toy().encoder, manifest, "s", more);
  EXPECT_EQ(patches.embedded, 10);
  EXPECT_EQ(EmbeddingStore::open(folder_ / "s").size(), 11);  // nothing twice
  EXPECT_EQ(EmbeddingStore::open(folder_ / "s.patches").size(), 10);
  const FeatureStore store = FeatureStore::open(folder_ / "s", FeatureKind::kPooled);
  EXPECT_EQ(store.records_of(std::vector<std::string>{"images/7.png"}, "m")[0], 10);
}

TEST_F(FeatureEmbed, RanksJoinedAreTheWhole) {
  const fs::path manifest = write_pictures(10);
  FeatureEmbedOptions options;
  options.embed.ranks = 2;
  for (options.embed.rank = 0; options.embed.rank < 2; ++options.embed.rank) {
    EXPECT_EQ(embed(*toy().encoder, manifest, "s" + std::to_string(options.embed.rank), options).images, 5);
  }
  const std::vector<fs::path> parts = {folder_ / "s0", folder_ / "s1"};
  merge_stores(parts, folder_ / "both");
  embed(*toy().encoder, manifest, "whole");
  const EmbeddingStore both = EmbeddingStore::open(folder_ / "both"), whole = EmbeddingStore::open(folder_ / "whole");
  ASSERT_EQ(both.size(), 10);
  EXPECT_EQ(both.shape(), whole.shape());
  for (std::int64_t i = 0; i < 10; ++i) {
    const std::vector<std::int64_t> a = {*both.find(whole.key(i))}, b = {i};
    EXPECT_TRUE(at::allclose(both.rows(a), whole.rows(b), 1e-3, 1e-3));
  }
}

TEST_F(FeatureEmbed, Int8StatesItsLoss) {
  const fs::path manifest = write_pictures(12);
  const EmbedReport exact = embed(*toy().encoder, manifest, "half");
  EXPECT_EQ(exact.stores[0].loss.vectors, 0);
  FeatureEmbedOptions options = with_patches(StoreType::kInt8);
  const EmbedReport report = embed(*toy().encoder, manifest, "int8", options);
  ASSERT_EQ(report.stores.size(), 2U);
  EXPECT_EQ(report.stores[0].loss.vectors, 12 * 4);
  EXPECT_EQ(report.stores[1].loss.vectors, 12 * 4 * 6);
  for (const EmbedReport::Store& store : report.stores) {
    EXPECT_GT(store.loss.worst, 0.99);
    EXPECT_LT(store.loss.worst, 1);
    EXPECT_GE(store.loss.mean(), store.loss.worst);
  }
  EXPECT_LT(fs::file_size(folder_ / "int8.patches"), 12 * (4 * 6 * (3 + 4) + 100) + 4096);
}

TEST_F(FeatureEmbed, OtherTowersAndOtherLayoutsAreRefused) {
  const fs::path manifest = write_pictures(3);
  embed(*toy().encoder, manifest, "s");
  const Toy other = toy('b');
  const std::string said = message([&] { embed(*other.encoder, manifest, "s"); });
  EXPECT_TRUE(contains(said, "holds features of toy a toy (weights aaaaaaaaaaaa"));
  EXPECT_TRUE(contains(said, "this tower is toy a toy (weights bbbbbbbbbbbb"));
  FeatureEmbedOptions flipped;
  flipped.views = views_named("flip");
  const std::string layout = message([&] { embed(*toy().encoder, manifest, "s", flipped); });
  EXPECT_TRUE(contains(layout, "holds records of 1 x 7 float16 (pooled features), not of 2 x 7 float16"));
  FeatureEmbedOptions typed;
  typed.embed.type = StoreType::kInt8;
  EXPECT_TRUE(contains(message([&] { embed(*toy().encoder, manifest, "s", typed); }), "int8"));
}

TEST_F(FeatureEmbed, BadPicturesAreCountedAndListed) {
  const fs::path manifest = write_pictures(8);
  write_file_atomic(folder_ / "images/3.png", "no picture");
  const EmbedReport report = embed(*toy().encoder, manifest, "s");
  EXPECT_EQ(report.bad, 1);
  EXPECT_EQ(report.embedded, 7);
  EXPECT_TRUE(contains(read_file(folder_ / "s.bad_pictures.jsonl"), "3.png"));
}

TEST(FeatureViews, AreNamedAndDescribed) {
  EXPECT_EQ(describe_views({PictureView{}}), "");
  EXPECT_EQ(describe_views(views_named("flip")), "whole; flipped");
  EXPECT_EQ(views_named("crops").size(), 5U);
  EXPECT_EQ(views_named("flip+crops").size(), 6U);
  EXPECT_EQ(views_named("flip+crops:9").size(), 11U);
  EXPECT_EQ(views_named("flip+crops:9"), views_named("flip+crops:9"));
  const std::vector<PictureView> views = views_named("crops:64");
  for (std::size_t i = 1; i < views.size(); ++i) {
    EXPECT_GE(views[i].height, 0.6);
    EXPECT_LE(views[i].top + views[i].height, 1.0001);
    EXPECT_LE(views[i].left + views[i].width, 1.0001);
    for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(views[i] == views[j]);
  }
  for (const char* wrong :
       {"", "flop", "flip+", "flip+crops:", "crops:0", "crops:65", "crops:x", "crops:3x", "flip3"}) {
    EXPECT_TRUE(contains(message<UsageError>([&] { views_named(wrong); }), "flip+crops:N")) << wrong;
  }
}

class TextEmbed : public FeatureFolder {
 protected:
  std::vector<std::string> captions(int count) const {
    const std::vector<std::string> words = {"a", "red", "blue", "cat", "dog", "sits", "on", "the", "mat"};
    std::vector<std::string> all;
    for (int i = 0; i < count; ++i) {
      std::string text;
      for (int n = i + 9; n > 0; n /= 9) text += (text.empty() ? "" : " ") + words[static_cast<std::size_t>(n % 9)];
      all.push_back(text);
    }
    return all;
  }
};

TEST_F(TextEmbed, EachCaptionOnceInTheOrderOfTheManifests) {
  const TextEncoder encoder(small_bert(folder_));
  std::vector<std::string> texts = captions(40);
  const fs::path first = write_captions("a.jsonl", texts);
  const fs::path second = write_captions("b.jsonl", {texts[3], "a new mat", " "});
  EmbedOptions options;
  options.type = StoreType::kFloat32;
  const EmbedReport report = embed_texts(encoder, {first, second}, folder_ / "t", options);
  texts.emplace_back("a new mat");
  texts.emplace_back(" ");
  EXPECT_EQ(report.images, 42);
  EXPECT_EQ(report.embedded, 42);
  const FeatureStore store = FeatureStore::open(folder_ / "t", FeatureKind::kTexts);
  const std::vector<std::int64_t> records = store.records_of(texts, "a.jsonl");
  for (std::int64_t i = 0; i < 42; ++i) EXPECT_EQ(records[static_cast<std::size_t>(i)], i);
  texts.pop_back();
  const at::Tensor rows = store.gather(records).select(1, 0).narrow(0, 0, 41);
  EXPECT_TRUE(at::allclose(rows, encoder.encode(texts), 1e-5, 1e-5));
  EXPECT_EQ(embed_texts(encoder, {first, second}, folder_ / "t", options).known, 42);
  EXPECT_TRUE(contains(message([&] { store.records_of(std::vector<std::string>{"unheard of"}, "c.json"); }),
                       "vicha embed c.json --tower bert:FILE --out"));
}

TEST_F(TextEmbed, KillsAndThreadsChangeNoBit) {
  const TextEncoder encoder(small_bert(folder_));
  const fs::path manifest = write_captions("a.jsonl", captions(700));
  embed_texts(encoder, {manifest}, folder_ / "whole", {});
  EmbedOptions one;
  one.threads = 1;
  embed_texts(encoder, {manifest}, folder_ / "parts", one);
  expect_same_records(folder_ / "whole", folder_ / "parts");
  // A store whose last block is lost, and one that begins with some of the texts.
  fs::resize_file(folder_ / "parts", fs::file_size(folder_ / "parts") - 100);
  EXPECT_GT(embed_texts(encoder, {manifest}, folder_ / "parts", {}).embedded, 0);
  expect_same_records(folder_ / "whole", folder_ / "parts");
}

}  // namespace
}  // namespace vicha
