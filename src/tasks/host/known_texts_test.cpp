#include "tasks/host/known_texts.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "objectives/step_test.h"

namespace vicha {
namespace {

TEST(TextEncoderDigest, FollowsTheTextEncoderAlone) {
  const at::NoGradGuard guard;
  Vicha one(tiny(), 1), again(tiny(), 1), other(tiny(), 2);
  const std::string first = text_encoder_digest(one);
  EXPECT_EQ(text_encoder_digest(again), first);
  EXPECT_NE(text_encoder_digest(other), first);
  for (const Parameter& parameter : again.parameters().parameters()) {
    at::Tensor value = parameter.value;
    if (!parameter.in("text") || parameter.follower) value.add_(1);
  }
  EXPECT_EQ(text_encoder_digest(again), first) << "pictures, fusion and momentum copies";
  for (const Parameter& parameter : one.parameters().parameters()) {
    if (!parameter.in("text") || parameter.follower) continue;
    at::Tensor number = parameter.value.flatten()[0];
    const double before = number.item<double>();
    number.add_(0.5);
    EXPECT_NE(text_encoder_digest(one), first) << parameter.name;
    number.fill_(before);
  }
  EXPECT_EQ(text_encoder_digest(one), first);
  ModelOptions heads = tiny();
  heads.text.heads = 2;
  EXPECT_NE(text_encoder_digest(Vicha(heads, 1)), first) << "the same numbers, read by other heads";
}

TEST(KnownTexts, StatesAreOfTheLastKeyAlone) {
  KnownTexts known;
  const std::int64_t ids[] = {2, 7};
  known.states("a", 1 << 20)->insert(ids, {at::ones({2, 3}), {}});
  EXPECT_NE(known.states("a", 1 << 20)->find(ids), nullptr);
  EXPECT_EQ(known.states("b", 1 << 20)->find(ids), nullptr);
  EXPECT_EQ(known.states("a", 1 << 20)->find(ids), nullptr) << "given up";
}

}  // namespace
}  // namespace vicha
