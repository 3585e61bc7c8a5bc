#include "data/manifest/image_names.h"

#include <gtest/gtest.h>

#include "data/manifest/data_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

std::string fault_of(std::string_view name) {
  const std::optional<NameFault> fault = foreign_name(name, fs::path("/nowhere") / name);
  return fault ? fault->what + ". " + fault->remedy : "";
}

TEST(ImageNames, TellsAddressesArchivesAndOtherSystems) {
  const std::pair<const char*, const char*> kinds[] = {
      {"http://a.b/c.jpg", "in the web"},
      {"HTTPS://a.b/c.jpg", "in the web"},
      {"https:/a.b/c.jpg", "in the web"},
      {"ftp://a.b/c.jpg", "in the web"},
      {"www.example.org/c.jpg", "in the web"},
      {"s3://bucket/c.jpg", "a store of objects"},
      {"gs://bucket/c.jpg", "a store of objects"},
      {"hdfs://host/c.jpg", "a store of objects"},
      {"file:///data/c.jpg", "Write the path alone: \"/data/c.jpg\""},
      {"file:/data/c.jpg", "Write the path alone: \"/data/c.jpg\""},
      {"file://localhost/data/c.jpg", "Write the path alone: \"/data/c.jpg\""},
      {"zip://a.zip!b.jpg", "is an address (zip:)"},
      {"data:image/jpeg;base64,/9j/4AAQ", "data URI"},
      {"C:\\pics\\a.jpg", "path of Windows"},
      {"D:/pics/a.jpg", "path of Windows"},
      {"\\\\server\\share\\a.jpg", "path of Windows"},
      {"sub\\a.jpg", "backslashes"},
      {"~/a.jpg", "begins with ~"},
      {"~user/a.jpg", "begins with ~"},
      {"$HOME/a.jpg", "variable"},
      {"${DATA}/a.jpg", "variable"},
      {"%USERPROFILE%/a.jpg", "variable"},
      {"a.zip/b.jpg", "Unpack \"a.zip\""},
      {"x/00012.tar/b.jpg", "vicha data from-tar"},
      {"00012.tar#b.jpg", "member of an archive"},
      {"00012.tar:512:8801", "member of an archive"},
      {"00012.TAR.GZ/b.jpg", "member of an archive"},
      {"a.zip!/b.jpg", "member of an archive"},
  };
  for (const auto& [name, part] : kinds) EXPECT_TRUE(contains(fault_of(name), part)) << name << ": " << fault_of(name);
  for (const char* name :
       {"a.jpg", "x/y z/a:b.jpg", "./a.jpg", "../a.jpg", "/abs/a.jpg", "a.tar.jpg", "~a.jpg", "50%/a.jpg", "$a",
        "data/a.jpg", "c:", "zip/a.jpg", "file.jpg", "a b.jpg", "http.jpg", "x.zip"}) {
    EXPECT_EQ(fault_of(name), "") << name;
  }
}

TEST(ImageNames, AFileThatIsThereIsAFile) {
  const TemporaryFolder folder;
  for (const char* name : {"man.tar/a.png", "~/a.png", "a\\b.png", "$x/a.png"}) {
    folder.write(name, "x");
    EXPECT_FALSE(foreign_name(name, folder / name)) << name;
  }
}

TEST(ImageNames, SaysWhatMayBeMeantByAMissingFile) {
  const TemporaryFolder folder;
  for (const char* name : {"sub/b.jpeg", "Cat.png", "caf\xc3\xa9.png", "a b.png"}) folder.write(name, "x");
  const auto hint = [&](std::string_view name) { return missing_file_hint(folder / name); };
  EXPECT_EQ(hint("sub/b.jpeg"), "");
  EXPECT_EQ(hint("sub/other.png"), "");
  EXPECT_TRUE(contains(hint("sub/b.jpg"), "\"b.jpeg\": the names differ in their endings")) << hint("sub/b.jpg");
  EXPECT_TRUE(contains(hint("cat.PNG"), "\"Cat.png\": the names differ in upper and lower case"));
  EXPECT_TRUE(contains(hint("cafe\xcc\x81.png"), "another Unicode form")) << hint("cafe\xcc\x81.png");
  EXPECT_TRUE(contains(hint("Cat.png "), "white space"));
  EXPECT_TRUE(contains(hint("a%20b.png"), "percent-encoded"));
  EXPECT_TRUE(contains(hint("SUB/b.jpeg"), "\"sub\": the names differ in upper and lower case"));
  EXPECT_EQ(hint("x/y/a.png"), "The folder " + (folder / "x").string() + " does not exist");
  EXPECT_EQ(hint("\xff.png"), "");
}

}  // namespace
}  // namespace vicha
