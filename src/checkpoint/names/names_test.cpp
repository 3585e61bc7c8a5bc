#include "checkpoint/names/names.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "checkpoint/files/open.h"

namespace vicha {
namespace {

const fs::path kGolden = fs::path(VICHA_SOURCE_DIR) / "tests/golden";

StateDict state(std::initializer_list<const char*> names) {
  StateDict tensors;
  for (const char* name : names) tensors.set(name, at::zeros({1}));
  return tensors;
}

std::vector<std::string> names_of(const StateDict& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  return names;
}

TEST(Names, Wildcards) {
  std::vector<std::string> captures;
  EXPECT_TRUE(matches("a.*.c", "a.b.c", &captures));
  EXPECT_EQ(captures, std::vector<std::string>{"b"});
  EXPECT_FALSE(matches("a.*", "a.b.c"));
  EXPECT_FALSE(matches("a.*", "a"));
  EXPECT_TRUE(matches("a.**", "a.b.c", &captures));
  EXPECT_EQ(captures, std::vector<std::string>{"b.c"});
  EXPECT_FALSE(matches("a.**", "a"));
  EXPECT_TRUE(matches("**.w", "a.b.w"));
  EXPECT_FALSE(matches("**.w", "w"));
  EXPECT_TRUE(matches("decoder_*.**", "decoder_blocks.0.w", &captures));
  EXPECT_EQ(captures, (std::vector<std::string>{"blocks", "0.w"}));
  EXPECT_FALSE(matches("decoder_*", "decoder_"));
  EXPECT_FALSE(matches("temp", "temp.x"));
}

TEST(Names, RulesFollowOneAnother) {
  EXPECT_EQ(rename("module.bert.embeddings.LayerNorm.gamma", common_rules()), "bert.embeddings.LayerNorm.weight");
  std::string_view why;
  EXPECT_EQ(rename("module.x.position_ids", common_rules(), &why), std::nullopt);
  EXPECT_FALSE(why.empty());
}

TEST(Names, HuggingFaceBertWithAndWithoutPrefix) {
  const Weights bert = open_weights(kGolden / "library/bert/bert_tiny.safetensors");
  Naming naming = Naming::kUnknown;
  const StateDict ours = to_released_names(bert.tensors, "bert", nullptr, &naming);
  EXPECT_EQ(naming, Naming::kHuggingFaceBert);
  EXPECT_EQ(ours.size(), bert.tensors.size());
  EXPECT_TRUE(ours.contains("text_encoder.bert.encoder.layer.0.attention.self.query.weight"));
  EXPECT_TRUE(ours.contains("text_encoder.cls.predictions.transform.dense.bias"));

  RenameReport report;
  const StateDict mini = to_released_names(
      state({"embeddings.word_embeddings.weight", "embeddings.position_ids", "embeddings.LayerNorm.beta",
             "encoder.layer.0.output.dense.weight", "pooler.dense.weight"}),
      "minilm", &report);
  EXPECT_EQ(names_of(mini), (std::vector<std::string>{"text_encoder.bert.embeddings.word_embeddings.weight",
                                                      "text_encoder.bert.embeddings.LayerNorm.bias",
                                                      "text_encoder.bert.encoder.layer.0.output.dense.weight"}));
  ASSERT_EQ(report.dropped.size(), 2U);
  EXPECT_EQ(report.dropped[0].name, "embeddings.position_ids");
}

TEST(Names, TimmVitAndDistilledDeit) {
  RenameReport report;
  Naming naming = Naming::kUnknown;
  const Weights vit = open_weights(kGolden / "library/vit/vit_tiny.pth");
  const StateDict ours = to_released_names(vit.tensors, "vit", &report, &naming);
  EXPECT_EQ(naming, Naming::kTimmVit);
  EXPECT_TRUE(ours.contains("visual_encoder.blocks.1.attn.qkv.bias"));
  EXPECT_EQ(ours.size() + report.dropped.size(), vit.tensors.size());
  ASSERT_EQ(report.dropped.size(), 2U);
  EXPECT_EQ(report.dropped[0].why, "the classifier");

  StateDict distilled = state({"cls_token", "dist_token", "patch_embed.proj.weight", "head_dist.weight"});
  const at::Tensor positions = at::arange(6, at::kFloat).view({1, 6, 1});
  distilled.set("pos_embed", positions);
  RenameReport dropped;
  const StateDict deit = to_released_names(distilled, "deit", &dropped);
  EXPECT_FALSE(deit.contains("visual_encoder.dist_token"));
  EXPECT_TRUE(at::equal(deit.at("visual_encoder.pos_embed").flatten(), at::tensor({0.F, 2.F, 3.F, 4.F, 5.F})));
  EXPECT_EQ(dropped.dropped.size(), 2U);
}

TEST(Names, ReleasedNamesStay) {
  const auto manifest = nlohmann::json::parse(read_file(kGolden / "vicha_extra/manifest_pretrain_base.json"));
  for (const auto& [name, entry] : manifest.items()) {
    const auto ours = rename(name, common_rules());
    if (name.ends_with(".position_ids")) {
      EXPECT_EQ(ours, std::nullopt);
    } else {
      EXPECT_EQ(ours, name);
    }
  }
}

TEST(Names, FineTunedModelsHaveBareTextEncoders) {
  StateDict theirs;
  for (const char* name : {"visual_encoder.cls_token", "text_encoder.embeddings.word_embeddings.weight",
                           "text_encoder_m.encoder.layer.0.output.dense.bias", "text_decoder.bert.embeddings.x",
                           "kw_encoder.embeddings.LayerNorm.weight", "cls_head.0.bias"}) {
    theirs.set(name, at::zeros({1}));
  }
  const StateDict ours = to_released_names(theirs, "ve.pth");
  EXPECT_TRUE(ours.contains("text_encoder.bert.embeddings.word_embeddings.weight"));
  EXPECT_TRUE(ours.contains("text_encoder_m.bert.encoder.layer.0.output.dense.bias"));
  EXPECT_TRUE(ours.contains("text_decoder.bert.embeddings.x"));
  EXPECT_TRUE(ours.contains("kw_encoder.LayerNorm.weight")) << "a concept encoder without layers";
  theirs.set("kw_encoder.encoder.layer.0.output.dense.bias", at::zeros({1}));
  EXPECT_TRUE(to_released_names(theirs, "ve.pth").contains("kw_encoder.embeddings.LayerNorm.weight"));
}

TEST(Names, DownstreamModelsTakeTheirParts) {
  const StateDict pretrained = open_weights(kGolden / "vicha/checkpoint_last.pth").tensors;
  for (const Downstream task : {Downstream::kRetrieval, Downstream::kGrounding, Downstream::kVqa,
                                Downstream::kEntailment, Downstream::kNlvr2, Downstream::kTextAssignment}) {
    const StateDict taken = rename(pretrained, downstream_rules(task), "checkpoint");
    const auto count = [&](const char* pattern) {
      return std::count_if(taken.begin(), taken.end(),
                           [&](const auto& entry) { return matches(pattern, entry.first); });
    };
    for (const char* gone : {"**.position_ids", "decoder_*.**", "decoder_*", "mae_proj.**", "mask_token",
                             "*_proj_hidden.**", "text_encoder.bert.**"}) {
      EXPECT_EQ(count(gone), 0) << gone;
    }
    EXPECT_GT(count("text_encoder.encoder.layer.**"), 0);
    EXPECT_GT(count("visual_encoder.**"), 0);
    EXPECT_GT(count("kw_proj.**"), 0);
    const bool contrastive = task == Downstream::kRetrieval || task == Downstream::kGrounding;
    EXPECT_EQ(count("*_queue"), contrastive ? 2 : 0);
    EXPECT_EQ(count("queue_ptr"), contrastive ? 1 : 0);
    EXPECT_EQ(count("itm_head.**"), contrastive ? 2 : 0);
    EXPECT_EQ(count("vision_proj_m.**"), contrastive ? 2 : 0);
    EXPECT_EQ(count("temp"), contrastive || task == Downstream::kTextAssignment ? 1 : 0);
    EXPECT_EQ(count("text_proj.**"), contrastive || task == Downstream::kTextAssignment ? 2 : 0);
    EXPECT_EQ(count("text_encoder.cls.**") > 0, task == Downstream::kVqa);
    EXPECT_EQ(count("visual_encoder_m.**") > 0, task != Downstream::kTextAssignment);
  }
}

TEST(Names, ConflictsAndStrangersAreErrors) {
  EXPECT_THROW(to_released_names(state({"bert.embeddings.x", "module.bert.embeddings.x"}), "w"), DataError);
  EXPECT_THROW(to_released_names(state({"conv1.weight"}), "w"), DataError);
  EXPECT_THROW(to_released_names(StateDict(), "w"), DataError);
}

TEST(Names, WhatTrainingProgramsPutBeforeTheNamesIsTakenOff) {
  for (const char* prefix : {"model.", "net.", "module.", "backbone.", "teacher.", "module.model."}) {
    StateDict tensors;
    for (const char* name : {"pos_embed", "cls_token", "patch_embed.proj.weight", "norm.weight"}) {
      tensors.set(std::string(prefix) + name, at::ones({1, 2, 3}));
    }
    Naming naming{};
    const StateDict ours = to_released_names(tensors, "test", nullptr, &naming);
    EXPECT_EQ(naming, Naming::kTimmVit) << prefix;
    EXPECT_TRUE(ours.contains("visual_encoder.patch_embed.proj.weight")) << prefix;
  }
}

TEST(Names, TensorsBesideTheModelAreReportedAndOneOfTwoModelsIsMeant) {
  const auto model = [](StateDict& tensors, const std::string& prefix, double value) {
    for (const char* name : {"pos_embed", "cls_token", "patch_embed.proj.weight", "norm.weight"}) {
      tensors.set(prefix + name, at::full({1, 2, 3}, value));
    }
  };
  StateDict lightning;
  model(lightning, "trainer.inner.model.", 1);
  lightning.set("criterion.weight", at::ones({2}));
  RenameReport report;
  EXPECT_EQ(to_released_names(lightning, "test", &report).size(), 4U);
  ASSERT_EQ(report.dropped.size(), 1U);
  EXPECT_EQ(report.dropped[0].name, "criterion.weight");

  StateDict dino;
  model(dino, "student.backbone.", 1);
  model(dino, "teacher.backbone.", 2);
  std::string said;
  log::set_sink([&](log::Level, std::string_view line) { said = line; });
  const StateDict teacher = to_released_names(dino, "test");
  log::set_sink({});
  EXPECT_NE(said.find("'teacher.backbone.' is taken, not that under 'student.backbone.'"), std::string::npos) << said;
  EXPECT_EQ(teacher.size(), 4U);
  EXPECT_EQ(teacher.at("visual_encoder.norm.weight").flatten()[0].item<double>(), 2);

  StateDict two;
  model(two, "a.", 1);
  model(two, "b.", 2);
  try {
    to_released_names(two, "two.pth");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("two.pth: holds several models, under 'a.' and 'b.'"), std::string::npos)
        << error.what();
  }
}

TEST(Names, ALongNameWithManyDotsTakesNoLonger) {
  std::string name(200000, '.');
  EXPECT_FALSE(matches("**.LayerNorm.gamma", name + "x.gamma"));
  EXPECT_TRUE(matches("**.LayerNorm.gamma", "a" + name + "LayerNorm.gamma"));
  EXPECT_EQ(rename(name, common_rules()), name);
}

TEST(Names, HuggingFaceVitsJoinTheirQueriesKeysAndValues) {
  StateDict tensors;
  const auto add = [&](const std::string& name, double value) { tensors.set("vit." + name, at::full({2, 2}, value)); };
  add("embeddings.cls_token", 1);
  add("embeddings.position_embeddings", 1);
  add("embeddings.patch_embeddings.projection.weight", 1);
  add("encoder.layer.0.attention.attention.key.weight", 3);
  add("encoder.layer.0.attention.attention.query.weight", 2);
  add("encoder.layer.0.attention.attention.value.weight", 4);
  add("encoder.layer.0.attention.output.dense.weight", 5);
  add("encoder.layer.0.intermediate.dense.weight", 6);
  add("encoder.layer.0.output.dense.weight", 7);
  add("encoder.layer.0.layernorm_before.weight", 8);
  add("encoder.layer.0.layernorm_after.weight", 9);
  add("layernorm.weight", 10);
  tensors.set("classifier.weight", at::ones({2}));
  Naming naming{};
  const StateDict ours = to_released_names(tensors, "test", nullptr, &naming);
  EXPECT_EQ(naming, Naming::kHuggingFaceVit);
  EXPECT_EQ(ours.size(), 10U);
  const at::Tensor qkv = ours.at("visual_encoder.blocks.0.attn.qkv.weight");
  EXPECT_TRUE(at::equal(qkv, at::cat({at::full({2, 2}, 2.), at::full({2, 2}, 3.), at::full({2, 2}, 4.)})));
  const std::pair<const char*, double> expected[] = {{"blocks.0.attn.proj", 5}, {"blocks.0.mlp.fc1", 6},
                                                     {"blocks.0.mlp.fc2", 7},   {"blocks.0.norm1", 8},
                                                     {"blocks.0.norm2", 9},     {"norm", 10}};
  for (const auto& [name, value] : expected) {
    EXPECT_EQ(ours.at(std::string("visual_encoder.") + name + ".weight").flatten()[0].item<double>(), value) << name;
  }
  tensors.erase("vit.encoder.layer.0.attention.attention.value.weight");
  EXPECT_THROW(to_released_names(tensors, "test"), DataError);
}

}  // namespace
}  // namespace vicha
