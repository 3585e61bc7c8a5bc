#include "checkpoint/tensors/name_index.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace vicha {
namespace {

TEST(NameIndex, FindsEveryNameAtThePlaceWhereItCame) {
  std::vector<std::string> names;
  const auto name_at = [&](std::size_t i) -> const std::string& { return names[i]; };
  NameIndex index;
  EXPECT_EQ(index.find("", name_at), NameIndex::kNone);
  for (std::size_t i = 0; i < 5000; ++i) {
    const std::string name = i == 0 ? "" : "layer." + std::to_string(i);
    EXPECT_EQ(index.insert(name, names.size(), name_at), i);
    names.push_back(name);
    EXPECT_EQ(index.insert(names[i / 2], names.size(), name_at), i / 2);
  }
  for (std::size_t i = 0; i < names.size(); ++i) ASSERT_EQ(index.find(names[i], name_at), i);
  EXPECT_EQ(index.find("layer.5000", name_at), NameIndex::kNone);
  const NameIndex moved = std::move(index);
  EXPECT_EQ(moved.find("layer.7", name_at), 7U);
  index = {};
  names = {"again"};
  EXPECT_EQ(index.insert("again", 0, name_at), 0U);
  EXPECT_EQ(index.find("again", name_at), 0U);
}

}  // namespace
}  // namespace vicha
