#include "data/tools/dead_images.h"

#include <gtest/gtest.h>

#include "data/manifest/data_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

class PruneTest : public ::testing::Test {
 protected:
  PruneTest() {
    const std::string png = noise_png(1, 40, 40);
    folder_.write("p/good.png", png);
    folder_.write("p/cut.png", png.substr(0, png.size() / 2));
    folder_.write("p/text.png", "no picture");
    folder_.write("p/empty.png", "");
    fs::create_directories(folder_ / "p/folder.png");
    in_ = folder_.write("m.jsonl",
                        "{\"image\": \"p/good.png\", \"n\": 1.50}\n"
                        "{\"image\": \"p/text.png\"}\n"
                        "{\"image\": \"p/none.png\"}\n"
                        "{\"image\": \"p/text.png\", \"caption\": \"again\"}\n"
                        "{\"image\": \"p/cut.png\"}\n"
                        "{\"image\": \"p/empty.png\"}\n"
                        "{\"image\": \"p/folder.png\"}\n"
                        "{\"image\": \"p/good.png\"}\n");
  }

  TemporaryFolder folder_;
  fs::path in_;
};

TEST_F(PruneTest, LeavesOutAndListsDeadImages) {
  const PruneReport report = prune_manifest(in_, folder_ / "out.jsonl", folder_ / "dead.jsonl", {.threads = 3});
  EXPECT_EQ(read_text(folder_ / "out.jsonl"),
            "{\"image\": \"p/good.png\", \"n\": 1.50}\n{\"image\": \"p/cut.png\"}\n{\"image\": \"p/good.png\"}\n");
  EXPECT_EQ(read_text(folder_ / "dead.jsonl"),
            "{\"image\":\"p/text.png\",\"record\":1,\"state\":\"unknown format\"}\n"
            "{\"image\":\"p/none.png\",\"record\":2,\"state\":\"missing\"}\n"
            "{\"image\":\"p/empty.png\",\"record\":5,\"state\":\"corrupt\"}\n"
            "{\"image\":\"p/folder.png\",\"record\":6,\"state\":\"unreadable\"}\n");
  EXPECT_EQ(report.records, 8);
  EXPECT_EQ(report.kept, 3);
  EXPECT_EQ(report.images, 6);
  EXPECT_EQ(report.dead, 4);
  EXPECT_EQ(report.truncated, 1);
}

TEST_F(PruneTest, ARecordGoesWithAnyOfItsPictures) {
  const fs::path pairs = folder_.write("pairs.jsonl",
                                       "{\"images\": [\"p/good.png\", \"p/cut.png\"]}\n"
                                       "{\"images\": [\"p/good.png\", \"p/text.png\"]}\n"
                                       "{\"image\": \"p/none.png\", \"image2\": \"p/good.png\"}\n");
  const PruneReport report = prune_manifest(pairs, folder_ / "out.jsonl", folder_ / "dead.jsonl", {});
  EXPECT_EQ(read_text(folder_ / "out.jsonl"), "{\"images\": [\"p/good.png\", \"p/cut.png\"]}\n");
  EXPECT_EQ(report.images, 4);
  EXPECT_EQ(report.dead, 2);
}

TEST_F(PruneTest, TruncatedImagesGoIfAskedFor) {
  const PruneReport report =
      prune_manifest(in_, folder_ / "out.jsonl", folder_ / "dead.jsonl", {.keep_truncated = false});
  EXPECT_EQ(report.kept, 2);
  EXPECT_EQ(report.dead, 5);
}

TEST_F(PruneTest, WithoutDecodingOnlyTheFileCounts) {
  const PruneReport report = prune_manifest(in_, folder_ / "out.jsonl", folder_ / "dead.jsonl", {.decode = false});
  EXPECT_EQ(report.kept, 5);  // text.png passes
  EXPECT_EQ(report.dead, 3);
}

TEST_F(PruneTest, ARepeatGoesOnWhereAKillStoppedIt) {
  PruneOptions options;
  prune_manifest(in_, folder_ / "whole.jsonl", folder_ / "whole.dead.jsonl", options);
  options.progress = [](std::int64_t) { throw Error("killed"); };
  EXPECT_THROW(prune_manifest(in_, folder_ / "out.jsonl", folder_ / "dead.jsonl", options), Error);
  EXPECT_FALSE(fs::exists(folder_ / "out.jsonl"));
  options.progress = {};
  const PruneReport report = prune_manifest(in_, folder_ / "out.jsonl", folder_ / "dead.jsonl", options);
  EXPECT_EQ(report.known, 2);  // good.png and cut.png
  EXPECT_EQ(report.images, 6);
  EXPECT_EQ(read_text(folder_ / "out.jsonl"), read_text(folder_ / "whole.jsonl"));
  EXPECT_EQ(read_text(folder_ / "dead.jsonl"), read_text(folder_ / "whole.dead.jsonl"));
  EXPECT_FALSE(fs::exists(folder_ / "out.jsonl.partial"));

  // Images that could not be read are looked at again; states of another way of looking are not taken.
  options.progress = [](std::int64_t) { throw Error("killed"); };
  EXPECT_THROW(prune_manifest(in_, folder_ / "out.jsonl", folder_ / "dead.jsonl", options), Error);
  folder_.write("p/none.png", noise_png(2, 40, 40));
  options.progress = {};
  EXPECT_EQ(prune_manifest(in_, folder_ / "out.jsonl", folder_ / "dead.jsonl", options).kept, 4);
  options.progress = [](std::int64_t) { throw Error("killed"); };
  EXPECT_THROW(prune_manifest(in_, folder_ / "out.jsonl", folder_ / "dead.jsonl", options), Error);
  EXPECT_EQ(prune_manifest(in_, folder_ / "out.jsonl", folder_ / "dead.jsonl", {.decode = false}).known, 0);
}

TEST_F(PruneTest, AWrongFolderIsAnErrorAndNothingIsWritten) {
  const PruneOptions options{.image_root = folder_ / "elsewhere"};
  EXPECT_THROW(prune_manifest(in_, folder_ / "out.jsonl", folder_ / "dead.jsonl", options), DataError);
  EXPECT_THROW(prune_manifest(in_, folder_ / "out.jsonl", folder_ / "dead.jsonl", {.strip_parts = 2}), DataError);
  EXPECT_FALSE(fs::exists(folder_ / "out.jsonl"));
  EXPECT_FALSE(fs::exists(folder_ / "dead.jsonl"));
  EXPECT_FALSE(fs::exists(folder_ / "out.jsonl.partial"));
}

TEST_F(PruneTest, StripPartsFindsReleasedNamesAndNoListIsLeftIfAllIsWell) {
  const fs::path in = folder_.write("r.json", R"([{"image": "/someone/data/good.png"}])");
  folder_.write("dead.jsonl", "of a run before");
  const PruneReport report =
      prune_manifest(in, folder_ / "out.json", folder_ / "dead.jsonl", {.image_root = folder_ / "p", .strip_parts = 3});
  EXPECT_EQ(report.kept, 1);
  EXPECT_EQ(read_text(folder_ / "out.json"), "[\n{\"image\": \"/someone/data/good.png\"}\n]\n");
  EXPECT_FALSE(fs::exists(folder_ / "dead.jsonl"));
}

}  // namespace
}  // namespace vicha
