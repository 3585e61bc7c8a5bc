#include "base/json_depth.h"

#include <gtest/gtest.h>

#include <string>

namespace vicha {
namespace {

TEST(JsonDepth, CountsBracketsOutsideOfStrings) {
  EXPECT_FALSE(nests_deeper(R"({"a": [1, [2]], "b": {}})", 3));
  EXPECT_TRUE(nests_deeper(R"({"a": [1, [2]], "b": {}})", 2));
  EXPECT_FALSE(nests_deeper(R"(["[[[", "\"[[", "\\"])", 1));
  EXPECT_TRUE(nests_deeper(R"(["\\", [1]])", 1));
  EXPECT_FALSE(nests_deeper("]]]]" + std::string(64, '[')));
  EXPECT_TRUE(nests_deeper(std::string(65, '{')));
  EXPECT_FALSE(nests_deeper(""));
  EXPECT_FALSE(nests_deeper("[\"\\"));
}

}  // namespace
}  // namespace vicha
