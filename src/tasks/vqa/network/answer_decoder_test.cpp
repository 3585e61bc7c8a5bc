#include "tasks/vqa/network/answer_decoder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/vicha.h"
#include "objectives/mlm.h"
#include "tasks/vqa/network/decoder_test_support.h"

namespace vicha {
namespace {

TEST(AnswerDecoder, IsBlindToWhatFollowsAndToOtherQuestions) {
  const SmallDecoder small(20);
  at::manual_seed(3);
  const QuestionStates both = SmallDecoder::questions({4, 2});
  const std::vector<std::int64_t> answer = {1, 5, 6, 7, 2};
  const auto logits = [&](const QuestionStates& questions, std::vector<std::vector<std::int64_t>> rows,
                          std::vector<std::int64_t> of) {
    const AnswerRows read({padded_answers(rows), std::move(of), {}}, questions.lengths, at::kCPU);
    return answer_logits(small.decoder(), questions, read, Dropout());
  };
  const at::Tensor alone = logits({both.states.slice(0, 4), {2}}, {answer}, {0});
  const at::Tensor among = logits(both, {{1, 9, 2}, answer, {1, 5, 6, 8, 9, 2}}, {0, 1, 1});
  ASSERT_EQ(alone.sizes(), at::IntArrayRef({4, 20}));
  ASSERT_EQ(among.sizes(), at::IntArrayRef({2 + 4 + 5, 20}));
  EXPECT_LT((among.slice(0, 2, 6) - alone).abs().max().item<double>(), 1e-5);
  // The third answer begins as the second does.
  EXPECT_LT((among.slice(0, 6, 9) - alone.slice(0, 0, 3)).abs().max().item<double>(), 1e-5);
  EXPECT_GT((among[9] - alone[3]).abs().max().item<double>(), 1e-3);
}

ModelOptions vqa_tiny_model(std::int64_t image_width) {
  ModelOptions o;
  o.vit.image_res = 16;
  o.vit.patch = 8;
  o.vit.width = image_width;
  o.vit.depth = 1;
  o.vit.heads = 2;
  o.text = SmallDecoder::sizes(20);
  o.concepts.enabled = false;
  o.embed_dim = 4;
  o.queue_size = 4;
  return o;
}

/// Makes the momentum copies differ from what they follow, so that it shows which one was copied.
void vqa_fill_text(ParameterStore& store, double online, double copy) {
  const at::NoGradGuard guard;
  for (std::size_t i = 0; i < store.parameters().size(); ++i) {
    if (store.parameters()[i].name.starts_with("text_")) {
      store.value(i).fill_(store.parameters()[i].follower ? copy : online);
    }
  }
}

TEST(AnswerDecoder, StartsAsTheFusionLayersAndItsCopyAsTheirs) {
  for (const std::int64_t image_width : {16, 8}) {
    const ModelOptions options = vqa_tiny_model(image_width);
    Vicha model(options, 1);
    const MlmObjective head({}, model);
    vqa_fill_text(model.parameters(), 2.0, 3.0);
    ParameterStore& store = model.parameters();
    add_answer_decoder(store, options.text);
    const at::Tensor fresh = store.parameter("text_decoder.bert.encoder.layer.1.crossattention.self.kv.weight").value;
    const at::Tensor before = fresh.clone();
    start_answer_decoder(store, options.text);
    for (const Parameter& p : store.parameters()) {
      if (!is_answer_decoder(p.name)) continue;
      if (p.name.find("crossattention.self.kv.weight") != std::string::npos && image_width != 16) continue;
      EXPECT_TRUE(p.value.eq(p.follower ? 3.0 : 2.0).all().item<bool>()) << p.name;
    }
    const at::Tensor copy = store.parameter("text_decoder_m.bert.encoder.layer.1.crossattention.self.kv.weight").value;
    if (image_width != 16) {
      EXPECT_TRUE(at::equal(fresh, before));
      EXPECT_TRUE(at::equal(copy, fresh));
    }
    EXPECT_TRUE(store.has_parameter("text_decoder_m.cls.predictions.transform.dense.weight"));
  }
}

/// Joint layers have no cross-attention: the decoder's is its own, and its copy's the same.
TEST(AnswerDecoder, OfAJointModelStartsItsCrossAttentionAnew) {
  ModelOptions options = vqa_tiny_model(16);
  options.fusion.kind = FusionKind::kJoint;
  Vicha model(options, 1);
  const MlmObjective head({}, model);
  vqa_fill_text(model.parameters(), 2.0, 3.0);
  ParameterStore& store = model.parameters();
  add_answer_decoder(store, options.text);
  const std::string cross = "bert.encoder.layer.1.crossattention.";
  const auto value = [&](const std::string& name) { return store.parameter(name).value; };
  const at::Tensor before = value("text_decoder." + cross + "self.kv.weight").clone();
  {
    const at::NoGradGuard guard;
    value("text_decoder_m." + cross + "self.kv.weight").zero_();
  }
  start_answer_decoder(store, options.text);
  EXPECT_TRUE(value("text_decoder." + cross + "self.kv.weight").equal(before));
  EXPECT_TRUE(value("text_decoder_m." + cross + "self.kv.weight").equal(before));
  for (const char* part : {"bert.encoder.layer.1.attention.self.qkv.weight", "bert.embeddings.LayerNorm.bias"}) {
    EXPECT_TRUE(value(std::string("text_decoder.") + part).eq(2.0).all().item<bool>()) << part;
    EXPECT_TRUE(value(std::string("text_decoder_m.") + part).eq(3.0).all().item<bool>()) << part;
  }
}

TEST(AnswerDecoder, NeedsFusionLayers) {
  ParameterStore store(1);
  TextOptions options = SmallDecoder::sizes(20);
  options.fusion_layers = 0;
  EXPECT_THROW(add_answer_decoder(store, options), UsageError);
}

}  // namespace
}  // namespace vicha
