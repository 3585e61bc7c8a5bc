#include "checkpoint/tensors/finite.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

namespace vicha {
namespace {

TEST(Finite, OneBadValueOfAnyTypeIsFound) {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto type : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kComplexFloat}) {
    at::Tensor tensor = at::ones({37, 5}, type) * -60000;
    EXPECT_TRUE(is_finite(tensor)) << type;
    EXPECT_TRUE(is_finite(tensor.t())) << type;
    for (const double bad : {infinity, -infinity, nan}) {
      tensor[36][4] = bad;
      EXPECT_FALSE(is_finite(tensor)) << type << " " << bad;
      EXPECT_FALSE(is_finite(tensor.t())) << type << " " << bad;
      EXPECT_TRUE(is_finite(tensor.narrow(0, 0, 36))) << type;
    }
  }
  EXPECT_FALSE(is_finite(at::full({3}, nan).to(at::kFloat8_e4m3fn)));
  EXPECT_TRUE(is_finite(at::ones({3}).to(at::kFloat8_e5m2)));
  EXPECT_TRUE(is_finite(at::ones({3}, at::kLong)));
  EXPECT_TRUE(is_finite(at::empty({0})));
}

}  // namespace
}  // namespace vicha
