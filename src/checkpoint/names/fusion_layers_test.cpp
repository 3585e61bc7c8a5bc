#include "checkpoint/names/fusion_layers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace vicha {
namespace {

constexpr const char* kPrefix = "text_encoder.bert.encoder.layer.";

std::string key_of(int layer) { return kPrefix + std::to_string(layer) + ".crossattention.self.key.weight"; }

StateDict two_and_two() {
  StateDict weights;
  weights.set("temp", at::zeros({}));
  for (int layer = 0; layer < 4; ++layer) {
    weights.set(kPrefix + std::to_string(layer) + ".output.dense.bias", at::full({2}, layer));
    if (layer >= 2) weights.set(key_of(layer), at::full({2, 2}, layer));
  }
  weights.set("text_encoder_m.bert.encoder.layer.3.output.dense.bias", at::full({2}, 7.0));
  return weights;
}

TEST(FusionLayers, StandThereForEachPicture) {
  StateDict weights = two_and_two();
  repeat_fusion_layers(weights, {2, 2, 2}, "a file");
  EXPECT_EQ(weights.size(), 1u + 6 + 4 + 2);
  for (const auto& [layer, from] : {std::pair{1, 1}, {2, 2}, {3, 2}, {4, 3}, {5, 3}}) {
    const at::Tensor found = weights.at(kPrefix + std::to_string(layer) + ".output.dense.bias");
    EXPECT_EQ(found[0].item<int>(), from) << layer;
  }
  EXPECT_TRUE(weights.contains("text_encoder_m.bert.encoder.layer.4.output.dense.bias"));
  EXPECT_TRUE(weights.contains("text_encoder_m.bert.encoder.layer.5.output.dense.bias"));
  EXPECT_FALSE(weights.contains("text_encoder_m.bert.encoder.layer.3.output.dense.bias"));

  StateDict again = weights;
  repeat_fusion_layers(again, {2, 2, 2}, "a file");
  EXPECT_EQ(again.size(), weights.size()) << "they are all there";
  StateDict other = two_and_two();
  repeat_fusion_layers(other, {1, 2, 2}, "a file");
  EXPECT_EQ(other.size(), two_and_two().size()) << "of another depth";
  StateDict one = two_and_two();
  repeat_fusion_layers(one, {2, 2, 1}, "a file");
  EXPECT_EQ(one.size(), two_and_two().size());
}

TEST(FusionLayers, FurtherPicturesAreComparedAsTheFirst) {
  StateDict weights = two_and_two();
  weights.set("word_similarity", at::full({3}, 5.0));
  weights.set("word_similarity_m", at::full({3}, 6.0));
  weights.set("word_similarity_2", at::full({3}, 7.0));
  repeat_fusion_layers(weights, {2, 2, 3}, "a file");
  EXPECT_EQ(weights.at("word_similarity_1")[0].item<int>(), 5);
  EXPECT_EQ(weights.at("word_similarity_1_m")[0].item<int>(), 6);
  EXPECT_EQ(weights.at("word_similarity_2")[0].item<int>(), 7) << "has its own";
  EXPECT_EQ(weights.at("word_similarity_2_m")[0].item<int>(), 6);
}

TEST(FusionLayers, OfAJointDecoderAreTheTextLayersOnceMore) {
  const auto numbers = [](const StateDict& weights) {
    std::string found;
    for (int layer = 0; layer < 9; ++layer) {
      const at::Tensor bias = weights.find(kPrefix + std::to_string(layer) + ".output.dense.bias");
      found += bias.defined() ? std::to_string(bias[0].item<int>()) : "-";
    }
    return found;
  };
  for (const auto& [text, fusion, expected] :
       {std::tuple{4, 4, "01230123-"}, {2, 4, "010123---"}, {3, 2, "01201----"}, {4, 5, "01230123-"}}) {
    StateDict weights = two_and_two();
    copy_text_layers(weights, {text, fusion, 1});
    EXPECT_EQ(numbers(weights), expected) << text << ' ' << fusion;
    EXPECT_TRUE(weights.contains("temp"));
  }
}

TEST(FusionLayers, DeeperModelIsNotTakenForARepeatedOne) {
  StateDict weights = two_and_two();
  repeat_fusion_layers(weights, {2, 2, 2}, "a file");
  weights.set(key_of(3), at::ones({2, 2}));
  EXPECT_THROW(repeat_fusion_layers(weights, {2, 2, 2}, "a file"), DataError);
}

}  // namespace
}  // namespace vicha
