#include "base/settings_json.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "base/error.h"

namespace vicha {
namespace {

TEST(SettingsObject, SaysWhyAFileCannotBeRead) {
  EXPECT_EQ(settings_object(R"({"a": 1})", "c.json").at("a"), 1);
  const std::pair<std::string, const char*> wrong[] = {
      {"", "it is empty"},
      {" \n", "it is empty"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"},
      {"{\"a\": 1,\n \"b\"", "line 2"},
      {"{\"a\": 1,}", "line 1"},
      {"{\"a\": NaN}", "line 1"},
      {"[1]", "of the type array"},
      {std::string(1000, '[') + std::string(1000, ']'), "nested too deeply"}};
  for (const auto& [text, reason] : wrong) {
    try {
      settings_object(text, "c.json");
      ADD_FAILURE() << text;
    } catch (const DataError& error) {
      const std::string said = error.what();
      EXPECT_TRUE(said.starts_with("c.json: is not a JSON object (")) << said;
      EXPECT_NE(said.find(reason), std::string::npos) << said;
      EXPECT_NE(said.find("). "), std::string::npos) << "no remedy: " << said;
    }
  }
}

TEST(DataErrors, AreReadToTheirEnd) {
  EXPECT_STREQ(DataError(std::string("\0a", 2), "is wrong").what(), "\\x00a: is wrong");
}

}  // namespace
}  // namespace vicha
