#include "base/registry.h"

#include <gtest/gtest.h>

namespace vicha {
namespace {

struct Plug {
  std::string key;
};

std::string keys(Registry<Plug>& registry) {
  std::string text;
  for (const Plug& plug : registry.all()) text += plug.key + " ";
  return text;
}

TEST(Registry, BuiltInKindsStandFirstAndAreMadeAtTheFirstLook) {
  int made = 0;
  Registry<Plug> registry([&] {
    ++made;
    return std::vector<Plug>{{"a"}, {"b"}};
  });
  registry.add({"guest"});
  EXPECT_EQ(made, 0);
  EXPECT_EQ(keys(registry), "a b guest ");
  EXPECT_EQ(registry.find("guest")->key, "guest");
  EXPECT_EQ(registry.find("c"), nullptr);
  EXPECT_EQ(made, 1);
}

TEST(Registry, IsClosedByTheFirstLook) {
  Registry<Plug> registry([] { return std::vector<Plug>(); });
  EXPECT_EQ(registry.find("late"), nullptr);
  EXPECT_THROW(registry.add({"late"}), std::logic_error);
}

TEST(Registry, AKeyIsTakenOnce) {
  Registry<Plug> registry([] { return std::vector<Plug>{{"a"}}; });
  registry.add({"a"});
  EXPECT_THROW(registry.all(), std::logic_error);
}

}  // namespace
}  // namespace vicha
