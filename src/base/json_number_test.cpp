#include "base/json_number.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace vicha {
namespace {

using Json = nlohmann::json;

TEST(JsonNumber, IntegersOfTheRangeAreRead) {
  const Json json = Json::parse(R"({"a": -3, "b": 18446744073709551615, "c": 255})");
  EXPECT_EQ(whole_number<std::int64_t>(json, "a"), -3);
  EXPECT_EQ(whole_number<std::uint64_t>(json, "b"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(whole_number<std::uint8_t>(json, "c"), 255);
}

TEST(JsonNumber, WhatTheTypeCannotHoldIsNamed) {
  const Json json = Json::parse(R"({"a": -3, "b": 18446744073709551615, "c": 256, "d": 1e300, "e": 2.0, "f": "7"})");
  EXPECT_THROW(whole_number<std::uint64_t>(json, "a"), Json::out_of_range);
  EXPECT_THROW(whole_number<std::int64_t>(json, "b"), Json::out_of_range);
  EXPECT_THROW(whole_number<std::uint8_t>(json, "c"), Json::out_of_range);
  EXPECT_THROW(whole_number<std::int64_t>(json, "d"), Json::out_of_range);
  EXPECT_THROW(whole_number<std::int64_t>(json, "e"), Json::out_of_range);
  try {
    whole_number<std::int64_t>(json, "f");
    FAIL() << "a text is not a number";
  } catch (const Json::out_of_range& error) {
    EXPECT_NE(std::string(error.what()).find("\"f\""), std::string::npos) << error.what();
  }
  EXPECT_THROW(whole_number<std::int64_t>(json, "missing"), Json::exception);
}

}  // namespace
}  // namespace vicha
