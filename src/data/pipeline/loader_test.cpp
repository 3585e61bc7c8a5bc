#include "data/pipeline/loader.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/log.h"
#include "config/serialize.h"
#include "data/manifest/data_test_support.h"
#include "text/cleaning/caption.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

constexpr std::int64_t kRecords = 30;

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() {
    log::set_sink([](log::Level, std::string_view) {});
    nlohmann::json rows;
    for (std::int64_t i = 0; i < kRecords; ++i) {
      const std::string name = fmt::format("images/{}.png", i);
      folder_.write(name, noise_png(static_cast<std::uint64_t>(i), 16 + static_cast<int>(i % 5)));
      rows.push_back({{"image", name},
                      {"caption", {fmt::format("A red cat, {}", i), fmt::format("dogs {}", i), "a dog sits"}},
                      {"kwords", {"cat", "dog", "red", "cats", "dogs", "sits", "a"}},
                      {"image_id", i / 2}});
    }
    options_.manifests = {folder_.write("m.json", rows.dump())};
    options_.batch_size = 4;
    options_.transform.image_res = 16;
  }

  ~LoaderTest() override { log::set_sink({}); }

  Loader loader(const LoaderSetup& setup = {.seed = 3}) {
    return Loader(load_manifests(options_), small_tokenizer(), options_, setup);
  }
  void spoil(std::int64_t record, std::string_view content = "no picture") {
    folder_.write(fmt::format("images/{}.png", record), content);
  }

  TemporaryFolder folder_;
  DataOptions options_;
};

/// What a maker was given: a random number, and the manifest's name of each sample's image.
struct Drawn : BatchTargets {
  std::vector<std::uint64_t> numbers;
  std::vector<std::string> images;
  void for_each_tensor(const TensorVisit&) override {}
};
struct DrawnNext : Drawn {};

template <class T>
void draw(Batch& batch, const Manifest& manifest, Rng& rng) {
  T& drawn = batch.add<T>();
  for (const std::int64_t record : batch.records) {
    drawn.numbers.push_back(rng());
    drawn.images.emplace_back(manifest.image_path(record));
  }
}

void expect_equal(const Batch& a, const Batch& b) {
  EXPECT_TRUE(at::equal(a.image, b.image));
  EXPECT_TRUE(at::equal(a.text.ids, b.text.ids));
  EXPECT_EQ(a.text.lengths, b.text.lengths);
  ASSERT_EQ(a.concepts.defined(), b.concepts.defined());
  EXPECT_TRUE(!a.concepts.defined() || at::equal(a.concepts.ids, b.concepts.ids));
  EXPECT_EQ(a.concepts.lengths, b.concepts.lengths);
  ASSERT_EQ(a.find<Drawn>() == nullptr, b.find<Drawn>() == nullptr);
  if (const Drawn* drawn = a.find<Drawn>()) {
    EXPECT_EQ(drawn->numbers, b.get<Drawn>().numbers);
  }
  EXPECT_TRUE(at::equal(a.image_ids, b.image_ids));
  EXPECT_TRUE(at::equal(a.caption_ids, b.caption_ids));
  EXPECT_EQ(a.records, b.records);
}

TEST_F(LoaderTest, TextsEndWithASeparatorIfAskedTo) {
  const auto tokenizer = small_tokenizer();
  const std::int64_t cls = tokenizer->vocabulary().cls_id(), sep = tokenizer->vocabulary().sep_id();
  const SampleText plain(tokenizer, options_);
  options_.sep_token = true;
  options_.max_tokens = 4;
  const SampleText text(tokenizer, options_);
  std::vector<std::int64_t> expected = plain.encode("a dog sits");
  ASSERT_EQ(expected.front(), cls);
  EXPECT_NE(expected.back(), sep);
  expected.resize(3);  // the text gives way
  expected.push_back(sep);
  EXPECT_EQ(text.encode("a dog sits"), expected);
  EXPECT_EQ(text.clean("Keycap: #!"), plain.clean("Keycap: #!"));
  options_.clean = false;
  EXPECT_EQ(SampleText(tokenizer, options_).clean("Keycap: #!"), "Keycap: #!");
  const std::vector<std::string_view> concepts = {"dog"};
  EXPECT_EQ(text.encode_concepts(concepts).back(), sep);
  EXPECT_NE(plain.encode_concepts(concepts).back(), sep);
  EXPECT_TRUE(text.is_empty(text.encode("")));
  EXPECT_TRUE(plain.is_empty(plain.encode("")));
  EXPECT_FALSE(plain.is_empty(plain.encode("dog")));
  EXPECT_FALSE(text.is_empty(text.encode("dog")));
}

TEST_F(LoaderTest, BatchesDoNotDependOnTheWorkers) {
  const LoaderSetup setup = {.seed = 3, .targets = {draw<Drawn>}};
  options_.workers = 1;
  options_.prefetch = 1;
  std::vector<Batch> expected;
  {
    Loader one = loader(setup);
    ASSERT_EQ(one.batches_per_epoch(), 7);
    for (int i = 0; i < 16; ++i) expected.push_back(one.next());  // more than two epochs
  }
  EXPECT_FALSE(at::equal(expected[0].image, expected[7].image));
  for (const auto& [workers, prefetch, cache] : {std::tuple{2, 1, 0}, {5, 4, 0}, {3, 2, 1}}) {
    options_.workers = workers;
    options_.prefetch = prefetch;
    options_.cache_mib = cache;
    Loader many = loader(setup);
    for (const Batch& batch : expected) expect_equal(many.next(), batch);
  }
}

TEST_F(LoaderTest, EveryMakerOfTargetsHasItsOwnRandomNumbers) {
  Loader one = loader({.seed = 3, .rank = 1, .world = 2, .targets = {draw<Drawn>}});
  Loader two = loader({.seed = 3, .rank = 1, .world = 2, .targets = {draw<Drawn>, draw<DrawnNext>}});
  for (std::uint64_t number = 0; number < 3; ++number) {
    const Batch a = one.next(), b = two.next();
    expect_equal(a, b);
    const Drawn &first = b.get<Drawn>(), &next = b.get<DrawnNext>();
    // The seed of masked words since the first release: runs that resume need it to stay.
    Rng expected(mix_seed({3, 2, number, 1}));
    for (const std::uint64_t drawn : first.numbers) EXPECT_EQ(drawn, expected());
    EXPECT_NE(first.numbers, next.numbers);
    ASSERT_EQ(first.images.size(), b.records.size());
    EXPECT_EQ(first.images[0], (folder_ / fmt::format("images/{}.png", b.records[0])).string());
  }
}

TEST_F(LoaderTest, SeekGivesTheSameBatches) {
  Loader whole = loader({.seed = 3, .targets = {draw<Drawn>}}), part = loader({.seed = 3, .targets = {draw<Drawn>}});
  std::vector<Batch> expected;
  for (int i = 0; i < 15; ++i) expected.push_back(whole.next());
  part.seek(1, 3);
  for (std::size_t i = 10; i < 15; ++i) expect_equal(part.next(), expected[i]);
  part.seek(0, 2);
  expect_equal(part.next(), expected[2]);
  part.seek(2, 0);
  expect_equal(part.next(), expected[14]);
}

TEST_F(LoaderTest, EveryRecordComesOnceInAnEpochOverAllRanks) {
  Loader one = loader({.seed = 3, .rank = 0, .world = 2}), two = loader({.seed = 3, .rank = 1, .world = 2});
  options_.batch_size = 8;
  Loader both = loader({.seed = 3});
  ASSERT_EQ(one.batches_per_epoch(), 3);
  std::set<std::int64_t> met;
  for (int i = 0; i < 3; ++i) {
    const Batch a = one.next(), b = two.next(), joined = both.next();
    met.insert(a.records.begin(), a.records.end());
    met.insert(b.records.begin(), b.records.end());
    EXPECT_TRUE(at::equal(at::cat({a.image, b.image}), joined.image));
    EXPECT_TRUE(at::equal(at::cat({a.caption_ids, b.caption_ids}), joined.caption_ids));
  }
  EXPECT_EQ(met.size(), 24u);
}

TEST_F(LoaderTest, FillsInWhatTheRecordSays) {
  const auto manifest = load_manifests(options_);
  const auto tokenizer = small_tokenizer();
  Loader source = loader();
  std::set<std::size_t> captions_met;
  for (int i = 0; i < 14; ++i) {
    const Batch batch = source.next();
    ASSERT_EQ(batch.image.sizes(), (at::IntArrayRef{4, 3, 16, 16}));
    ASSERT_EQ(batch.size(), 4);
    for (std::int64_t row = 0; row < 4; ++row) {
      const std::int64_t record = batch.records[static_cast<std::size_t>(row)];
      EXPECT_EQ(batch.image_ids[row].item<std::int64_t>(), record / 2);
      bool found = false;
      for (std::size_t which = 0; which < 3; ++which) {
        const std::string clean = clean_caption(manifest->captions(record)[which], 30);
        if (text_id(clean) != batch.caption_ids[row].item<std::int64_t>()) continue;
        found = true;
        captions_met.insert(which);
        const std::vector<std::int64_t> ids = tokenizer->encode(clean);
        ASSERT_EQ(batch.text.lengths[static_cast<std::size_t>(row)], static_cast<std::int64_t>(ids.size()));
        for (std::int64_t t = 0; t < batch.text.ids.size(1); ++t) {
          const bool real = t < static_cast<std::int64_t>(ids.size());
          EXPECT_EQ(batch.text.ids[row][t].item<std::int64_t>(), real ? ids[static_cast<std::size_t>(t)] : 0);
        }
      }
      EXPECT_TRUE(found);
      // int(0.3 * 7) = 2 words and [CLS]; "cats" and "dogs" are two pieces each.
      EXPECT_GE(batch.concepts.lengths[static_cast<std::size_t>(row)], 3);
      EXPECT_LE(batch.concepts.lengths[static_cast<std::size_t>(row)], 5);
      EXPECT_EQ(batch.concepts.ids[row][0].item<std::int64_t>(), 2);
    }
    EXPECT_EQ(batch.text.ids.size(1), *std::max_element(batch.text.lengths.begin(), batch.text.lengths.end()));
    EXPECT_EQ(batch.find<Drawn>(), nullptr);
  }
  EXPECT_EQ(captions_met.size(), 3u);
}

TEST_F(LoaderTest, ConceptsAreAnOption) {
  options_.concepts.random_share = 0;
  options_.concepts.separator = " [SEP] ";
  const Batch all = loader().next();
  // [CLS], 7 words of which two have two pieces, 6 separators.
  EXPECT_EQ(all.concepts.lengths, std::vector<std::int64_t>(4, 1 + 9 + 6));
  EXPECT_EQ((all.concepts.ids == 3).sum().item<std::int64_t>(), 24);
  options_.concepts.max_tokens = 5;
  EXPECT_EQ(loader().next().concepts.ids.size(1), 5);
  options_.concepts.enabled = false;
  EXPECT_FALSE(loader().next().concepts.defined());
}

TEST_F(LoaderTest, BadImagesGiveWayToTheNextRecordWhateverTheWorkers) {
  for (const std::int64_t record : {4, 5, 29}) spoil(record);
  fs::remove(folder_ / "images/17.png");
  options_.workers = 1;
  std::vector<Batch> expected;
  const LoaderSetup setup = {.seed = 3, .bad_samples = folder_ / "bad_samples.jsonl"};
  {
    Loader one = loader(setup);
    for (int i = 0; i < 14; ++i) expected.push_back(one.next());
    EXPECT_EQ(one.skipped(), 4);
  }
  for (const Batch& batch : expected) {
    for (const std::int64_t record : batch.records)
      EXPECT_TRUE(record != 4 && record != 5 && record != 29 && record != 17);
  }
  const std::string written = read_text(folder_ / "bad_samples.jsonl");
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 4);
  EXPECT_TRUE(contains(written, (folder_ / "images/17.png").string()));
  EXPECT_TRUE(contains(written, "\"record\":29"));

  options_.workers = 4;
  {
    Loader many = loader(setup);
    for (const Batch& batch : expected) expect_equal(many.next(), batch);
    EXPECT_EQ(many.skipped(), 4);
  }
  EXPECT_EQ(read_text(folder_ / "bad_samples.jsonl"), written) << "once each, also over runs";

  fs::remove(folder_ / "bad_samples.jsonl");
  {
    Loader many = loader(setup);
    for (int i = 0; i < 14; ++i) many.next();
  }
  EXPECT_EQ(read_text(folder_ / "bad_samples.jsonl"), written) << "in the order of the samples";
}

TEST_F(LoaderTest, AHalfWrittenLineOfBadSamplesIsLeftBehind) {
  spoil(8);
  folder_.write("bad.jsonl", "{\"image\": \"cut off");
  Loader source = loader({.seed = 3, .bad_samples = folder_ / "bad.jsonl"});
  while (source.skipped() == 0) source.next();
  const std::string written = read_text(folder_ / "bad.jsonl");
  const std::string last = written.substr(written.find('\n') + 1);
  EXPECT_EQ(nlohmann::json::parse(last).at("record"), 8);
}

TEST_F(LoaderTest, TooManyBadImagesStopTheRun) {
  for (std::int64_t record = 0; record < 12; ++record) spoil(record);
  const auto stops = [&] {
    Loader source = loader();
    for (int i = 0; i < 40; ++i) source.next();
  };
  const std::string message = message_of(stops);
  EXPECT_TRUE(contains(message, "9 of 30 pictures could not be read")) << message;
  EXPECT_TRUE(contains(message, "data.max_bad_share = 0.01")) << message;
  EXPECT_TRUE(contains(message, (folder_ / "images/").string())) << message;
  options_.max_bad_share = 0.5;
  EXPECT_EQ(message_of(stops), "");
}

TEST_F(LoaderTest, NothingReadableStopsTheRunToo) {
  options_.max_bad_share = 1;
  fs::remove_all(folder_ / "images");
  const std::string message = message_of([&] { loader().next(); });
  EXPECT_TRUE(contains(message, "30 of 30 pictures could not be read. The first:")) << message;
}

TEST_F(LoaderTest, TruncatedImagesAreAnOption) {
  const std::string whole = noise_png(6);
  for (std::int64_t record = 0; record < kRecords; ++record) spoil(record, whole.substr(0, whole.size() / 2));
  EXPECT_NE(message_of([&] { loader().next(); }), "");
  options_.truncated = TruncatedImages::kAccept;
  Loader source = loader();
  source.next();
  EXPECT_EQ(source.skipped(), 0);
}

TEST_F(LoaderTest, NeedsConceptsOnlyWhereTheyAreUsed) {
  options_.manifests = {folder_.write("bare.json", R"([{"image": "images/1.png", "caption": "x"}])")};
  options_.batch_size = 1;
  EXPECT_TRUE(contains(message_of([&] { loader(); }), "data.concepts.enabled"));
  options_.concepts.enabled = false;
  EXPECT_EQ(loader().next().records, std::vector<std::int64_t>{0});
}

TEST_F(LoaderTest, ReadsWhatATaskDeclaresAndDoesWithoutCaptions) {
  options_.manifests = {folder_.write("vqa.json", R"([{"image": "images/1.png", "question": "how many?"},
                                                      {"image": "images/2.png", "question": "is it red?"}])")};
  options_.batch_size = 2;
  options_.concepts.enabled = false;
  struct Questions : BatchTargets {
    std::vector<std::string> texts;
    void for_each_tensor(const TensorVisit&) override {}
  };
  const TargetMaker ask = [](Batch& batch, const Manifest& manifest, Rng&) {
    const auto& questions = manifest.column<TextColumn>("question");
    Questions& asked = batch.add<Questions>();
    for (const std::int64_t record : batch.records) asked.texts.emplace_back(questions[record]);
  };
  EXPECT_TRUE(contains(message_of([&] { load_manifests(options_); }), "\"caption\""));
  const Schema schema{.caption = false, .columns = {{.field = "question", .type = ColumnType::kText}}};
  Loader source(load_manifests(options_, schema), small_tokenizer(), options_, {.seed = 3, .targets = {ask}});
  const Batch batch = source.next();
  EXPECT_EQ(batch.size(), 2);
  EXPECT_FALSE(batch.text.defined());
  const auto& texts = batch.get<Questions>().texts;
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0], batch.records[0] == 0 ? "how many?" : "is it red?");
}

/// Features that say whose they are: image, view, place.
class CountedFeatures : public PictureFeatures {
 public:
  explicit CountedFeatures(std::int64_t views, std::vector<std::int64_t> without = {})
      : views_(views), without_(std::move(without)) {}
  std::int64_t patches() const override { return 3; }
  std::int64_t width() const override { return 5; }
  std::int64_t views() const override { return views_; }
  void read(std::int64_t image, std::int64_t view, std::span<float> out) const override {
    if (std::ranges::find(without_, image) != without_.end()) throw DataError("store", "has none of it");
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = static_cast<float>(image * 1000 + view * 100 + static_cast<std::int64_t>(i));
    }
  }

 private:
  std::int64_t views_;
  std::vector<std::int64_t> without_;
};

TEST_F(LoaderTest, FeaturesTakeThePlaceOfFiles) {
  fs::remove_all(folder_ / "images");  // nobody reads them
  const LoaderSetup setup = {.seed = 3, .features = std::make_shared<CountedFeatures>(4)};
  options_.workers = 1;
  std::vector<Batch> expected;
  {
    Loader one = loader(setup);
    for (int i = 0; i < 16; ++i) expected.push_back(one.next());
  }
  std::set<std::int64_t> views;
  for (const Batch& batch : expected) {
    ASSERT_EQ(batch.image.sizes(), (at::IntArrayRef{4, 3, 5}));
    for (std::int64_t i = 0; i < 4; ++i) {
      const auto first = static_cast<std::int64_t>(batch.image[i][0][0].item<float>());
      EXPECT_EQ(first / 1000, batch.records[static_cast<std::size_t>(i)]);
      EXPECT_EQ(batch.image[i][2][4].item<float>(), static_cast<float>(first + 14));
      views.insert(first % 1000 / 100);
    }
  }
  EXPECT_EQ(views.size(), 4U);
  options_.workers = 5;
  Loader many = loader(setup), later = loader(setup);
  for (const Batch& batch : expected) expect_equal(many.next(), batch);
  later.seek(1, 2);
  expect_equal(later.next(), expected[9]);
}

TEST_F(LoaderTest, PicturesWithoutFeaturesGiveWayAsUnreadableOnesDo) {
  const LoaderSetup setup = {.seed = 3,
                             .bad_samples = folder_ / "bad.jsonl",
                             .features = std::make_shared<CountedFeatures>(1, std::vector<std::int64_t>{5})};
  Loader source = loader(setup);
  for (int i = 0; i < 7; ++i) {
    for (const std::int64_t record : source.next().records) EXPECT_NE(record, 5);
  }
  EXPECT_EQ(source.skipped(), 1);
  EXPECT_TRUE(contains(read_text(folder_ / "bad.jsonl"), "has none of it"));
}

TEST_F(LoaderTest, OptionsAreDescribed) {
  DataOptions options;
  apply_overrides(
      options, {"manifests=[\"a.json\"]", "concepts.random_share=0.5", "transform.image_res=64", "truncated=accept"});
  EXPECT_EQ(options.concepts.random_share, 0.5);
  EXPECT_EQ(options.transform.image_res, 64);
  EXPECT_TRUE(options.decode_options().accept_truncated);
  EXPECT_THROW(apply_override(options, "truncated=maybe"), UsageError);
}

}  // namespace
}  // namespace vicha
