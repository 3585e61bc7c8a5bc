// Batches as a downstream task's schema wants them.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "data/manifest/data_test_support.h"
#include "data/pipeline/loader.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

TEST(LoaderOfTask, ReadsTheTextAndTheFurtherPicturesOfTheSchema) {
  log::set_sink([](log::Level, std::string_view) {});
  const TemporaryFolder folder;
  DataOptions options;
  options.batch_size = 4;
  options.transform.image_res = 16;
  for (std::uint64_t i = 0; i < 16; ++i) folder.write(fmt::format("images/{}.png", i), noise_png(i));
  nlohmann::json rows;
  for (int i = 0; i < 8; ++i) {
    rows.push_back({{"image", fmt::format("images/{}.png", i)},
                    {"kwords", {"cat"}},
                    {"image2", fmt::format("images/{}.png", i + 8)},
                    {"kwords2", {"dog", "red"}},
                    {"question", "red? cat"}});
  }
  options.manifests = {folder.write("pairs.json", rows.dump())};
  options.concepts.random_share = 0;
  options.transform.augment.enabled = false;
  folder.write("images/9.png", "no picture");
  const Schema schema{.caption = false,
                      .columns = {{.field = "image2", .type = ColumnType::kImage, .beside = "kwords2"},
                                  {.field = "question", .type = ColumnType::kText}},
                      .text = {.field = "question", .cleaning = TextCleaning::kQuestion}};
  Loader loader(load_manifests(options, schema), small_tokenizer(), options, {.seed = 3});
  for (int batch = 0; batch < 2; ++batch) {
    const Batch b = loader.next();
    EXPECT_EQ(b.text.lengths, (std::vector<std::int64_t>(4, 3)));
    const FurtherPictures& further = b.get<FurtherPictures>();
    ASSERT_EQ(further.lists.size(), 1u);
    EXPECT_EQ(further.lists[0].image.sizes(), b.image.sizes());
    EXPECT_FALSE(further.lists[0].image.equal(b.image));
    EXPECT_EQ(b.concepts.ids.size(1), 2);
    EXPECT_EQ(further.lists[0].concepts.ids.size(1), 3);
    for (const std::int64_t record : b.records) EXPECT_NE(record, 1) << "its second picture cannot be read";
  }
  EXPECT_EQ(loader.skipped(), 1);
  log::set_sink({});
}

}  // namespace
}  // namespace vicha
