#include "data/manifest/image_paths.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "data/manifest/data_test_support.h"

namespace vicha {
namespace {

TEST(ImagePaths, StripsPartsAndPutsTheRootInFront) {
  EXPECT_EQ(ImagePaths("/d/m.json", "", 0).find("x/./a.png"), "/d/x/a.png");
  EXPECT_EQ(ImagePaths("/d/m.json", "", 0).find("/abs/a.png"), "/abs/a.png");
  EXPECT_EQ(ImagePaths("/d/m.json", "/images", 1).find("x/a.png"), "/images/a.png");
  EXPECT_EQ(ImagePaths("/d/m.json", "/images", 2).find("/x/a.png"), "/images/a.png") << "the first part is empty";
  EXPECT_EQ(ImagePaths("/d/m.json", "/images", 2).find("x/a.png"), std::nullopt);
}

TEST(ImagePaths, NamesTheRecordWhoseNameIsTooShort) {
  const ImagePaths paths("/d/m.json", "", 2);
  const auto where = [] { return std::string("m.json, record 3"); };
  EXPECT_EQ(paths.path("a/b/c.png", where), "/d/c.png");
  const std::string message = testing_data::message_of([&] { paths.path("b/c.png", where); });
  EXPECT_TRUE(testing_data::contains(message, "m.json, record 3")) << message;
  EXPECT_TRUE(testing_data::contains(message, "has no more than 2 parts between slashes: \"b/c.png\"")) << message;
  EXPECT_TRUE(testing_data::contains(message, "--strip-parts")) << message;
}

TEST(ImagePaths, StripsAddressesToFilesAndRefusesThemOtherwise) {
  EXPECT_EQ(ImagePaths("/d/m.json", "/coco", 3).find("https://images.org/train/a.jpg"), "/coco/train/a.jpg");
  const ImagePaths plain("/d/m.json", "/coco", 0);
  EXPECT_EQ(plain.find("https://images.org/train/a.jpg"), std::nullopt);
  EXPECT_EQ(plain.path_or_none("s3://x/a.jpg", [] { return std::string(); }), "/coco/s3://x/a.jpg");
  const std::string message = testing_data::message_of(
      [&] { plain.path("https://images.org/a.jpg", [] { return std::string("m, record 3"); }); });
  EXPECT_TRUE(
      message.starts_with("m, record 3: field \"image\" is an address in the web, \"https://images.org/a.jpg\""))
      << message;
}

TEST(ImagePaths, KnowsFileNames) {
  EXPECT_TRUE(is_file_name("a"));
  EXPECT_FALSE(is_file_name(""));
  EXPECT_FALSE(is_file_name(std::string_view("a\0b", 3)));
}

TEST(ImagePaths, FindsPicturesThatAreNamedWithoutJpg) {
  const testing_data::TemporaryFolder folder;
  folder.write("123.jpg", "");
  folder.write("both", "");
  folder.write("both.jpg", "");
  const ImagePaths paths(folder / "m.json", "", 0);
  EXPECT_EQ(paths.find("123"), (folder / "123.jpg").string());
  EXPECT_EQ(paths.find("both"), (folder / "both").string()) << "the file of that name comes first";
  EXPECT_EQ(paths.find("none"), (folder / "none").string());
  EXPECT_EQ(paths.find("123.png"), (folder / "123.png").string());
}

}  // namespace
}  // namespace vicha
