#include "base/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace vicha {
namespace {

TEST(JsonText, BytesThatAreNoUtf8AreEscapedAndTheRestStays) {
  const nlohmann::ordered_json json = {{"z", "caf\xe9/a.json"}, {"caf\xe9", {1, "caf\xc3\xa9", {{"b", "\xff"}}}}};
  EXPECT_EQ(json_text(json), R"({"z":"caf\\xe9/a.json","caf\\xe9":[1,"café",{"b":"\\xff"}]})");
  EXPECT_EQ(json_text(nlohmann::json{{"a", "x"}}, 1), "{\n \"a\": \"x\"\n}");
}

TEST(JsonText, NamesThatMustBeFoundAgainAreRefused) {
  EXPECT_NO_THROW(require_utf8("caf\xc3\xa9", "here"));
  try {
    require_utf8("caf\xe9.tar", "caf\xe9.tar");
    ADD_FAILURE();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("caf\\xe9.tar is not UTF-8"), std::string::npos) << error.what();
  }
}

TEST(JsonText, TheParsersMessagesWithoutItsOwnNames) {
  for (const char* text : {"{\"a\": }", "[1,", "\"\\ud800\"", "\"\xff\""}) {
    try {
      [[maybe_unused]] const nlohmann::json value = nlohmann::json::parse(text);
      ADD_FAILURE() << text;
    } catch (const nlohmann::json::exception& error) {
      EXPECT_EQ(json_reason(error.what()).find("json.exception"), std::string::npos) << error.what();
    }
  }
  EXPECT_EQ(json_reason("[json.exception.type_error.302] type must be number, but is string"),
            "type must be number, but is string");
}

}  // namespace
}  // namespace vicha
