#include "checkpoint/tensors/state_dict.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace vicha {
namespace {

TEST(StateDict, KeepsOrderReplacesAndErases) {
  StateDict tensors;
  for (const char* name : {"z", "a", "m"}) tensors.set(name, at::zeros({1}));
  tensors.set("a", at::ones({1}));
  EXPECT_EQ(tensors.size(), 3U);
  EXPECT_EQ(std::next(tensors.begin())->first, "a");
  EXPECT_EQ(tensors.at("a").item<float>(), 1.0F);
  EXPECT_TRUE(tensors.erase("z"));
  EXPECT_FALSE(tensors.erase("z"));
  EXPECT_EQ(tensors.begin()->first, "a");
  EXPECT_EQ(tensors.at("m").item<float>(), 0.0F);
  EXPECT_FALSE(tensors.find("z").defined());
  EXPECT_THROW(tensors.at("z"), DataError);
}

}  // namespace
}  // namespace vicha
