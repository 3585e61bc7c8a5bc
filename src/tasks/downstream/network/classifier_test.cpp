#include "tasks/downstream/network/classifier.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace vicha {
namespace {

TEST(DistilledCrossEntropy, MixesLabelsAndSoftTargets) {
  // Two rows by hand: softmax (3/4, 1/4), targets (1/2, 1/2).
  const at::Tensor logits = at::log(at::tensor({3.0F, 1.0F, 3.0F, 1.0F})).view({2, 2});
  const at::Tensor labels = at::tensor({0, 1}, at::kLong), teacher = at::zeros({2, 2});
  const double hard = -0.5 * (std::log(0.75) + std::log(0.25));
  EXPECT_NEAR(distilled_cross_entropy(logits, labels, {}, 0.4).item<double>(), hard, 1e-6);
  const double one_sided = distilled_cross_entropy(logits, at::tensor({0, 0}, at::kLong), teacher, 0.4).item<double>();
  EXPECT_NEAR(one_sided, 0.6 * -std::log(0.75) + 0.4 * hard, 1e-6);
}

TEST(Classifier, CopyFollowsUnderItsReleasedName) {
  ParameterStore store(1);
  const Twins<ClassifierHead> head = add_classifier(store, "cls_head", 8, 3);
  EXPECT_TRUE(store.has_parameter("cls_head_m.2.bias"));
  EXPECT_EQ(store.twins().size(), 4U);
  EXPECT_EQ(head.online(at::ones({5, 8})).sizes(), at::IntArrayRef({5, 3}));
}

}  // namespace
}  // namespace vicha
