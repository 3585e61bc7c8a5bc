#include "tasks/host/input_object.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "base/error.h"

namespace vicha {
namespace {

TEST(InputObject, SaysWhyALineIsNone) {
  EXPECT_EQ(input_object(R"({"image": "a.jpg", "id": 7})", "Give one").at("id"), 7);
  const std::pair<std::string, const char*> wrong[] = {
      {R"({"a": )" + std::string(100'000, '[') + std::string(100'000, ']') + "}", "more than 64 deep"},
      {R"({"a": 1} {"b": 2})", "is not JSON ("},
      {R"({"a": NaN})", "is not JSON ("},
      {"{\"a\": \"\xff\"}", "is not JSON ("},
      {"[1]", "is not a JSON object"},
      {R"({"id": 123456789012345678901234567890})", "holds the number 123456789012345678901234567890"},
      {R"({"question": "a?", "question": "b?"})", "field \"question\" stands there twice"}};
  for (const auto& [input, why] : wrong) {
    try {
      input_object(input, "Give one");
      ADD_FAILURE() << why;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
      EXPECT_LT(std::string(error.what()).size(), 400U);
    }
  }
}

}  // namespace
}  // namespace vicha
