#include "concepts/embed/embed.h"

#include <ATen/Parallel.h>

#include "concepts/source/clip_source.h"
#include "concepts/vocabulary/colour_source_test_support.h"

namespace vicha {
namespace {

class Embed : public ConceptFolder {
 protected:
  /// Images 0 … count - 1 of changing colours, some named twice; more than one block of the store's.
  fs::path many(int count) {
    std::vector<std::string> names, colours;
    for (const auto& [name, colour] : source_colours()) colours.push_back(name);
    for (int i = 0; i < count; ++i) {
      const std::string name = std::to_string(i) + ".png";
      const auto pick = [&](int n) { return colours[static_cast<std::size_t>(n) % colours.size()]; };
      write_image(name, {pick(i), pick(i / 5), pick(i / 2)});
      names.push_back(name);
      if (i % 3 == 0) names.push_back("0.png");
    }
    return write_manifest("many.jsonl", names);
  }
  EmbedReport embed(ConceptSource& source, const fs::path& manifest, const std::string& store,
                    EmbedOptions options = {}) {
    if (options.batch_size == 0) options.batch_size = 4;
    options.threads = 3;
    return embed_images(source, list_images({manifest}), folder_ / store, options);
  }
};

TEST_F(Embed, EachImageOnceInTheManifestsOrder) {
  ColourSource source;
  const EmbedReport report = embed(source, many(11), "s.emb", {.type = StoreType::kFloat32});
  EXPECT_EQ(report.images, 11);
  EXPECT_EQ(report.embedded, 11);
  const EmbeddingStore store = EmbeddingStore::open(folder_ / "s.emb");
  ASSERT_EQ(store.size(), 11);
  EXPECT_TRUE(store.source().same(source.weights()));
  for (std::int64_t i = 0; i < 11; ++i) {
    const std::string name = "images/" + std::to_string(i) + ".png";
    EXPECT_EQ(store.key(i), name);
    at::Tensor pixels = at::empty({1, 3, 8, 8});
    source.prepare(load_rgb(folder_ / name), {pixels.data_ptr<float>(), 192});
    EXPECT_TRUE(at::allclose(store.rows(std::vector<std::int64_t>{i})[0], source.embed_images(pixels), 1e-6, 1e-6));
  }
}

TEST_F(Embed, ARepeatedRunDoesWhatIsMissingOnly) {
  ColourSource source;
  const fs::path manifest = many(10);
  embed(source, manifest, "s.emb");
  const std::int64_t seen = source.images_seen;
  const int prepared = source.prepared;
  const EmbedReport again = embed(source, manifest, "s.emb");
  EXPECT_EQ(again.known, 10);
  EXPECT_EQ(again.embedded, 0);
  EXPECT_EQ(source.images_seen, seen);
  EXPECT_EQ(source.prepared, prepared);
  write_image("7.png", {"white", "white", "white"});
  EXPECT_EQ(embed(source, manifest, "s.emb", {.trust_names = true}).embedded, 0);
  const EmbedReport changed = embed(source, manifest, "s.emb");
  EXPECT_EQ(changed.embedded, 1);
  EXPECT_EQ(changed.known, 9);
  const EmbeddingStore store = EmbeddingStore::open(folder_ / "s.emb");
  EXPECT_EQ(store.size(), 11);
  const at::Tensor row = store.rows(std::vector<std::int64_t>{store.find("images/7.png").value()})[0][0];
  EXPECT_NEAR(row[0].item<double>(), 250.0 / 255 - 0.4, 1e-3);
}

TEST_F(Embed, AKilledRunThatIsRepeatedEndsWithTheSameStore) {
  const fs::path manifest = many(23);
  ColourSource source;
  embed(source, manifest, "whole.emb");
  ColourSource dying;
  dying.fail_after = 13;
  EXPECT_THROW(embed(dying, manifest, "parts.emb"), Error);
  // What a kill leaves: the file cut anywhere.
  ColourSource next;
  embed(next, manifest, "parts.emb");
  const auto size = fs::file_size(folder_ / "parts.emb");
  fs::resize_file(folder_ / "parts.emb", size - 37);
  const EmbedReport last = embed(next, manifest, "parts.emb");
  EXPECT_GT(last.embedded, 0);
  const EmbeddingStore a = EmbeddingStore::open(folder_ / "whole.emb"), b = EmbeddingStore::open(folder_ / "parts.emb");
  ASSERT_EQ(b.size(), 23);
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < 23; ++i) {
    all.push_back(i);
    EXPECT_EQ(a.key(i), b.key(i));
    EXPECT_EQ(a.content(i), b.content(i));
  }
  EXPECT_TRUE(at::equal(a.rows(all), b.rows(all)));
}

TEST_F(Embed, TheThreadsAndWhatIsThereAlreadyChangeNoBit) {
  const fs::path manifest = many(23);
  ClipOptions shape;
  shape.vision = {48, 2, 3, 192, Activation::kQuickGelu, 1e-5};
  shape.text = {32, 1, 2, 64, Activation::kQuickGelu, 1e-5};
  shape.image_res = 32, shape.patch = 8, shape.vocabulary = 2, shape.context = 2, shape.embed = 24;
  ClipSource source(std::make_unique<Clip>(shape, 7), std::nullopt, true, ClipView{.side = 32});
  const auto made = [&](const std::string& name, std::int64_t threads, const fs::path& some = {}) {
    const EmbedOptions options{.type = StoreType::kFloat32, .batch_size = 4, .threads = threads};
    if (!some.empty()) embed_images(source, list_images({some}), folder_ / name, options);
    embed_images(source, list_images({manifest}), folder_ / name, options);
    const EmbeddingStore store = EmbeddingStore::open(folder_ / name);
    std::vector<std::int64_t> order;
    for (int i = 0; i < 23; ++i) {  // image 9 is the one that is there already, in another place
      if (i != 9) order.push_back(store.find("images/" + std::to_string(i) + ".png").value());
    }
    return store.rows(order);
  };
  const int threads = at::get_num_threads();
  const at::Tensor rows = made("all.emb", 0);
  EXPECT_TRUE(at::equal(made("one.emb", 1), rows));
  at::set_num_threads(1);
  EXPECT_TRUE(at::equal(made("alone.emb", 0), rows));
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(made("rest.emb", 0, write_manifest("some.jsonl", {"9.png"})), rows));
}

TEST_F(Embed, BadImagesAreNamedAndLeftOut) {
  many(4);
  write_file_atomic(folder_ / "images" / "broken.png", "no picture");
  const fs::path manifest = write_manifest("bad.jsonl", {"0.png", "broken.png", "1.png", "absent.png", "2.png"});
  ColourSource source;
  const EmbedReport report = embed(source, manifest, "s.emb");
  EXPECT_EQ(report.bad, 2);
  EXPECT_EQ(report.embedded, 3);
  embed(source, manifest, "s.emb");
  const std::string log = read_file(folder_ / "s.emb.bad_pictures.jsonl");
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2);
  EXPECT_NE(log.find("broken.png"), std::string::npos);
  EXPECT_NE(log.find("absent.png"), std::string::npos);
  std::vector<std::string> absent;
  for (int i = 0; i < 9; ++i) absent.push_back("none" + std::to_string(i) + ".png");
  absent.push_back("0.png");
  EXPECT_THROW(embed(source, write_manifest("worse.jsonl", absent), "w.emb"), DataError);
}

TEST_F(Embed, RanksShareTheImages) {
  const fs::path manifest = many(8);
  ColourSource source;
  std::vector<std::string> keys;
  for (int rank = 0; rank < 3; ++rank) {
    const fs::path store = store_of_rank("s.emb", rank, 3);
    embed(source, manifest, store.string(), {.rank = rank, .ranks = 3});
    const EmbeddingStore opened = EmbeddingStore::open(folder_ / store);
    EXPECT_EQ(opened.key(0), "images/" + std::to_string(rank) + ".png");
    for (std::int64_t i = 0; i < opened.size(); ++i) keys.emplace_back(opened.key(i));
  }
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(keys.size(), 8u);
  EXPECT_EQ(std::unique(keys.begin(), keys.end()), keys.end());
  EXPECT_EQ(store_of_rank("a/s.emb", 1, 3), fs::path("a/s.rank-1-of-3.emb"));
  EXPECT_THROW(embed(source, manifest, "x.emb", {.rank = 3, .ranks = 3}), UsageError);
}

TEST_F(Embed, AnotherSourceOrShapeIsRefused) {
  const fs::path manifest = many(3);
  ColourSource source, other(std::string(64, 'b'));
  embed(source, manifest, "s.emb");
  EXPECT_THROW(embed(other, manifest, "s.emb"), DataError);
  EXPECT_THROW(embed(source, manifest, "s.emb", {.type = StoreType::kFloat32}), DataError);
  EXPECT_THROW(embed(source, manifest, "s.emb", {.regions = 2}), DataError);
}

TEST_F(Embed, OneNameForTwoFilesIsRefused) {
  const fs::path here = many(2);
  fs::create_directories(folder_ / "other" / "images");
  fs::copy(folder_ / "images" / "0.png", folder_ / "other" / "images" / "0.png");
  fs::copy(here, folder_ / "other" / "many.jsonl");
  try {
    list_images({here, folder_ / "other" / "many.jsonl"});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("images/0.png"), std::string::npos) << error.what();
  }
  EXPECT_EQ(list_images({here, folder_ / "other" / "many.jsonl"}, {.image_root = folder_}).size(), 2);
}

TEST_F(Embed, RegionsFollowTheWholeImage) {
  write_image("cells.png", {"red", "green", "blue", "white"}, 2);
  const fs::path manifest = write_manifest("cells.jsonl", {"cells.png"});
  ColourSource source;
  EXPECT_EQ(embed(source, manifest, "r.emb", {.type = StoreType::kFloat32, .regions = 2}).embedded, 1);
  const at::Tensor rows = EmbeddingStore::open(folder_ / "r.emb").rows(std::vector<std::int64_t>{0})[0];
  ASSERT_EQ(rows.sizes(), (std::vector<std::int64_t>{5, 3}));
  int region = 1;
  for (const char* name : {"red", "green", "blue", "white"}) {
    for (int c = 0; c < 3; ++c) {
      EXPECT_NEAR(rows[region][c].item<double>(), source_colours().at(name)[static_cast<std::size_t>(c)] / 255.0 - 0.4,
                  1e-5);
    }
    ++region;
  }
  EXPECT_NEAR(rows[0].mean().item<double>(), rows.slice(0, 1).mean().item<double>(), 0.01);
}

TEST(ContentHash, TellsFilesApart) {
  std::vector<std::uint8_t> bytes(200, 7);
  const auto before = content_hash(bytes);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 1;
    EXPECT_NE(content_hash(bytes), before) << i;
    bytes[i] ^= 1;
  }
  EXPECT_EQ(content_hash(bytes), before);
  EXPECT_NE(content_hash(std::span(bytes).first(199)), before);
  EXPECT_NE(content_hash({}), 0u);
}

}  // namespace
}  // namespace vicha
