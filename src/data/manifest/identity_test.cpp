#include "data/manifest/identity.h"

#include <gtest/gtest.h>

#include "data/manifest/data_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

TEST(Identity, FindsFilesOfSeveralIdsAndIdsOfSeveralFiles) {
  const TemporaryFolder folder;
  const fs::path file = folder.write("m.json", R"([
    {"image": "a.png", "caption": "x", "image_id": 1}, {"image": "./a.png", "caption": "x", "image_id": "1"},
    {"image": "x//b.png", "caption": "x"}, {"image": "x/b.png", "caption": "x", "image_id": 3},
    {"image": "x/../a.png", "caption": "x", "image_id": 1},
    {"image": "c.png", "caption": "x", "image_id": 7}, {"image": "d.png", "caption": "x", "image_id": 7}])");
  const IdConflicts found = find_id_conflicts(Manifest::load({file}));
  EXPECT_EQ(found.files, 2);
  EXPECT_EQ(found.ids, 1);
  EXPECT_EQ(found.first_file,
            (folder / "a.png").string() + " has image_id 1 in " + file.string() + ", record 0 and \"1\" in record 1");
  EXPECT_TRUE(contains(found.first_id, "image_id 7 stands for " + (folder / "c.png").string())) << found.first_id;
  EXPECT_TRUE(contains(found.first_id, "record 6")) << found.first_id;
}

TEST(Identity, AgreeingIdsAndOtherManifestsAreNoConflict) {
  const TemporaryFolder folder;
  const std::string records = R"([{"image": "a.png", "caption": "x", "image_id": 1}, {"image": "a.png", "caption": "y",
                                   "image_id": 1}, {"image": "b.png", "caption": "x"}])";
  const fs::path one = folder.write("m.json", records), two = folder.write("n.json", records);
  EXPECT_FALSE(find_id_conflicts(Manifest::load({one, two})).any());
}

TEST(Identity, LinksAreTheFileTheyLeadTo) {
  const TemporaryFolder folder;
  folder.write("a.png", "x");
  folder.write("copy.png", "x");
  fs::create_symlink("a.png", folder / "soft.png");
  fs::create_hard_link(folder / "a.png", folder / "hard.png");
  const fs::path file =
      folder.write("m.json", R"([{"image": "gone.png", "caption": "x"}, {"image": "a.png", "caption": "x"},
    {"image": "soft.png", "caption": "x"}, {"image": "copy.png", "caption": "x"}, {"image": "hard.png", "caption": "x"},
    {"image": "gone2.png", "caption": "x"}])");
  EXPECT_EQ(same_files(Manifest::load({file})), (std::vector<std::int64_t>{0, 1, 1, 3, 1, 5}));
}

}  // namespace
}  // namespace vicha
