#include "models/clip.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "checkpoint/names/clip_names.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/safetensors/safetensors.h"
#include "nn/precision.h"

namespace vicha {
namespace {

ClipOptions small_clip(Activation activation = Activation::kQuickGelu, std::int64_t depth = 3) {
  ClipOptions o;
  o.vision = {48, depth, 3, 96, activation, 1e-5};
  o.text = {32, depth, 2, 128, activation, 1e-5};
  o.image_res = 32;
  o.patch = 8;
  o.vocabulary = 100;
  o.context = 20;
  o.embed = 24;
  return o;
}

/// A model whose every number matters: the small numbers of an untrained one hide mistakes in the layers.
Clip lively_clip(const ClipOptions& options) {
  Clip clip(options, 7);
  at::manual_seed(3);
  const at::NoGradGuard no_grad;
  for (const Parameter& p : clip.parameters().parameters())
    p.value.copy_(p.value * 4 + at::randn(p.value.sizes()) * 0.05);
  return clip;
}

at::Tensor some_ids(std::int64_t count, std::int64_t length, std::int64_t end) {
  at::manual_seed(5);
  at::Tensor ids = at::randint(1, end, {count, length}, at::kLong);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t at = 1 + (5 * i) % (length - 1);
    ids[i].slice(0, at).fill_(0);
    ids[i][at] = end;
  }
  return ids;
}

double furthest(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

/// The tensors of a model under our own names.
StateDict state_of(const Clip& clip) {
  StateDict state;
  for (const Parameter& p : clip.parameters().parameters()) state.set(p.name, p.value.detach().clone());
  return state;
}

/// The same as transformers names and stores them.
StateDict as_hugging_face(const StateDict& ours) {
  StateDict theirs;
  for (const auto& [name, tensor] : ours) {
    std::string to = name;
    const auto replace = [&](std::string_view from, std::string_view by) {
      if (const auto at = to.find(from); at != std::string::npos) to.replace(at, from.size(), by);
    };
    const bool visual = to.starts_with("visual.");
    replace("visual.proj", "visual_projection.weight");
    if (to == "text_projection") to = "text_projection.weight";
    replace("visual.conv1", "vision_model.embeddings.patch_embedding");
    replace("visual.class_embedding", "vision_model.embeddings.class_embedding");
    replace("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight");
    replace("visual.ln_pre", "vision_model.pre_layrnorm");
    replace("visual.ln_post", "vision_model.post_layernorm");
    replace("token_embedding", "text_model.embeddings.token_embedding");
    if (to == "positional_embedding") to = "text_model.embeddings.position_embedding.weight";
    replace("ln_final", "text_model.final_layer_norm");
    replace("visual.transformer.resblocks", "vision_model.encoder.layers");
    if (!visual) replace("transformer.resblocks", "text_model.encoder.layers");
    replace("ln_1", "layer_norm1");
    replace("ln_2", "layer_norm2");
    replace("c_fc", "fc1");
    replace("c_proj", "fc2");
    replace("attn.out_proj", "self_attn.out_proj");
    if (const auto at = to.find("attn.in_proj_"); at != std::string::npos) {
      const auto parts = tensor.chunk(3, 0);
      for (int i = 0; i < 3; ++i) {
        theirs.set(to.substr(0, at) + "self_attn." + "qkv"[i] + "_proj." + to.substr(at + 13), parts[i].clone());
      }
    } else {
      theirs.set(to, to.ends_with("projection.weight") ? tensor.t().contiguous() : tensor);
    }
  }
  theirs.set("text_model.embeddings.position_ids", at::arange(20).unsqueeze(0));
  return theirs;
}

StateDict with_prefixes(const StateDict& ours, bool custom_text) {
  StateDict theirs;
  for (const auto& [name, tensor] : ours) {
    const bool text = !name.starts_with("visual.") && name != "logit_scale";
    theirs.set("module." + std::string(custom_text && text ? "text." : "") + name, tensor);
  }
  return theirs;
}

const char* kConfig = R"({"model_cfg": {"embed_dim": 24, "quick_gelu": true,
  "vision_cfg": {"width": 48, "layers": 3, "image_size": 32, "patch_size": 8, "head_width": 16},
  "text_cfg": {"width": 32, "layers": 3, "heads": 2, "vocab_size": 100, "context_length": 20}}})";

std::string message(const std::function<void()>& run) {
  try {
    run();
  } catch (const DataError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no DataError";
  return "";
}

class ClipPaths : public testing::TestWithParam<std::tuple<Activation, std::int64_t>> {};

TEST_P(ClipPaths, TheFastPathEqualsThePlainOne) {
  const auto [activation, depth] = GetParam();
  const Clip clip = lively_clip(small_clip(activation, depth));
  // Few images share the threads of each product, many are shared out among the threads.
  for (const std::int64_t count : {1, 3, 150}) {
    const at::Tensor pixels = at::randn({count, 3, 32, 32}), ids = some_ids(count, 20, 99);
    const at::Tensor images = clip.encode_image(pixels), texts = clip.encode_text(ids);
    EXPECT_EQ(images.sizes(), (std::vector<std::int64_t>{count, 24}));
    EXPECT_LT(furthest(images, clip.image_states(pixels).features), 1e-5) << count;
    EXPECT_LT(furthest(texts, clip.text_states(ids).features), 1e-5) << count;
    EXPECT_FALSE(images.requires_grad());
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, ClipPaths,
                         testing::Combine(testing::Values(Activation::kQuickGelu, Activation::kGelu),
                                          testing::Values(1, 3)));

TEST(Clip, RunsInsideOfAParallelRegion) {
  const Clip clip = lively_clip(small_clip());
  const at::Tensor pixels = at::randn({150, 3, 32, 32}), outside = clip.encode_image(pixels);
  std::vector<at::Tensor> inside(2);
  at::parallel_for(0, 2, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) inside[i] = clip.encode_image(pixels);
  });
  EXPECT_LT(furthest(inside[0], outside), 1e-6);
  EXPECT_LT(furthest(inside[1], outside), 1e-6);
}

TEST(Clip, Bf16IsNear) {
  const Clip clip = lively_clip(small_clip());
  const at::Tensor pixels = at::randn({150, 3, 32, 32}), ids = some_ids(150, 20, 99);
  const at::Tensor images = clip.encode_image(pixels), texts = clip.encode_text(ids);
  const Bf16Scope scope(true);
  const double image_error = furthest(clip.encode_image(pixels), images),
               text_error = furthest(clip.encode_text(ids), texts);
  EXPECT_GT(image_error, 0);  // every thread runs in bf16
  EXPECT_LT(image_error, 0.1);
  EXPECT_GT(text_error, 0);
  EXPECT_LT(text_error, 0.1);
}

TEST(Clip, WhatStandsBehindTheEndDoesNotMatter) {
  const Clip clip = lively_clip(small_clip());
  const at::Tensor ids = some_ids(6, 20, 99), padded = ids.masked_fill(ids.eq(0), 99);
  EXPECT_TRUE(at::equal(clip.encode_text(ids), clip.encode_text(padded)));
  EXPECT_EQ(clip.pooled_at(ids), (std::vector<std::int64_t>{1, 6, 11, 16, 2, 7}));
  // A known end id that is not the largest.
  ClipOptions options = small_clip();
  options.end_id = 50;
  const Clip other(options, 1);
  EXPECT_EQ(other.pooled_at(at::tensor({3, 50, 99, 50, 1, 99, 2, 4}, at::kLong).view({2, 4})),
            (std::vector<std::int64_t>{1, 0}));
}

TEST(Clip, RefusesWhatItCannotRead) {
  const Clip clip(small_clip(), 1);
  EXPECT_NE(message([&] { clip.encode_image(at::zeros({2, 3, 24, 24})); }).find("(2, 3, 24, 24)"), std::string::npos);
  EXPECT_NE(message([&] { clip.encode_text(at::zeros({2, 21}, at::kLong)); }).find("(2, 21)"), std::string::npos);
  EXPECT_NE(message([&] { clip.encode_text(at::full({2, 5}, 100, at::kLong)); }).find("100"), std::string::npos);
  EXPECT_EQ(clip.encode_image(at::zeros({0, 3, 32, 32})).size(0), 0);
  EXPECT_EQ(clip.encode_text(at::zeros({0, 5}, at::kLong)).size(0), 0);
}

TEST(ClipNames, EveryNamingGivesTheSameModel) {
  const Clip clip = lively_clip(small_clip());
  const StateDict ours = state_of(clip);
  const at::Tensor pixels = at::randn({2, 3, 32, 32}), ids = some_ids(2, 20, 99);
  StateDict openai = ours;
  for (const char* constant : {"input_resolution", "context_length", "vocab_size"}) openai.set(constant, at::tensor(1));
  const std::pair<StateDict, ClipNaming> forms[] = {{openai, ClipNaming::kOpenAi},
                                                    {with_prefixes(ours, false), ClipNaming::kOpenAi},
                                                    {with_prefixes(ours, true), ClipNaming::kOpenClipCustomText},
                                                    {as_hugging_face(ours), ClipNaming::kHuggingFace}};
  for (const auto& [tensors, naming] : forms) {
    EXPECT_EQ(detect_clip_naming(tensors), naming);
    const StateDict named = to_clip_names(tensors, "test");
    ASSERT_EQ(named.size(), ours.size()) << to_string(naming);
    for (const auto& [name, tensor] : ours) EXPECT_TRUE(at::equal(named.at(name), tensor)) << name;
    const auto made = make_clip(tensors, "test", kConfig);
    EXPECT_TRUE(at::equal(made->encode_image(pixels), clip.encode_image(pixels)));
    EXPECT_TRUE(at::equal(made->encode_text(ids), clip.encode_text(ids)));
    EXPECT_DOUBLE_EQ(made->logit_scale(), clip.logit_scale());
  }
}

TEST(ClipNames, SaysWhatOtherWeightsAre) {
  const StateDict ours = state_of(Clip(small_clip(), 1));
  const auto refused = [&](const StateDict& tensors) {
    return message([&] { make_clip(tensors, "weights.pt", kConfig); });
  };
  const auto one = [](const char* name) {
    StateDict state;
    state.set(name, at::zeros({2, 2}));
    return state;
  };
  EXPECT_NE(refused(one("visual_encoder.blocks.0.norm1.weight")).find("ViCHA or ALBEF"), std::string::npos);
  EXPECT_NE(refused(one("visual_encoder.blocks.0.norm1.weight")).find("vicha:CHECKPOINT"), std::string::npos);
  EXPECT_NE(refused(one("bert.embeddings.word_embeddings.weight")).find("BERT"), std::string::npos);
  EXPECT_NE(refused(one("visual.layer1.0.conv1.weight")).find("ResNet"), std::string::npos);
  EXPECT_NE(refused(one("something.weight")).find("'something.weight'"), std::string::npos);
  EXPECT_NE(refused(StateDict()).find("no tensors"), std::string::npos);

  StateDict broken = ours;
  broken.erase("transformer.resblocks.1.ln_2.bias");
  EXPECT_NE(refused(broken).find("missing: transformer.resblocks.1.ln_2.bias"), std::string::npos);
  broken = ours;
  broken.set("visual.attn_pool.query", at::zeros({2}));
  EXPECT_NE(refused(broken).find("visual.attn_pool.query"), std::string::npos);
  broken = ours;
  broken.set("visual.positional_embedding", at::zeros({16, 48}));
  EXPECT_NE(refused(broken).find("16 rows"), std::string::npos);
  broken = as_hugging_face(ours);
  broken.erase("text_model.encoder.layers.0.self_attn.k_proj.weight");
  EXPECT_NE(refused(broken).find("resblocks.0.self_attn.k_proj.weight"), std::string::npos);
}

TEST(ClipOptions, HeadsComeFromTheWidthOrTheConfiguration) {
  const StateDict ours = state_of(Clip(small_clip(), 1));
  EXPECT_NE(message([&] { make_clip(ours, "weights.pt"); }).find("config.json"), std::string::npos);
  ClipOptions wide = small_clip();
  wide.vision = {128, 2, 2, 256, Activation::kQuickGelu, 1e-5};
  wide.text = {64, 1, 1, 64, Activation::kQuickGelu, 1e-5};
  const ClipOptions told = make_clip(state_of(Clip(wide, 1)), "weights.pt")->options();
  EXPECT_EQ(told.vision.heads, 2);
  EXPECT_EQ(told.text.heads, 1);
  EXPECT_EQ(told.image_res, 32);
  EXPECT_EQ(told.vision.activation, Activation::kQuickGelu);
  EXPECT_EQ(told.name(), "ViT-128x2/8@32");

  ClipOptions base;
  base.vision = {768, 12, 12, 3072, Activation::kQuickGelu, 1e-5};
  base.text = {512, 12, 8, 2048, Activation::kQuickGelu, 1e-5};
  base.image_res = 224, base.patch = 32, base.vocabulary = 49408, base.context = 77, base.embed = 512;
  EXPECT_EQ(base.name(), "ViT-B/32");
  EXPECT_EQ(base.parameters(), 151277313);  // as OpenAI's model card counts
}

TEST(ClipOptions, ConfigurationsAreReadAndHeldAgainstTheShapes) {
  const StateDict named = state_of(Clip(small_clip(), 1));
  nlohmann::json config = {
      {"text_config", {{"hidden_size", 32}, {"num_attention_heads", 4}, {"hidden_act", "gelu"}, {"eos_token_id", 99}}},
      {"vision_config", {{"num_attention_heads", 6}, {"layer_norm_eps", 1e-6}}}};
  ClipOptions options = clip_options(named, "weights");
  apply_clip_config(options, config.dump(), "config.json");
  EXPECT_EQ(options.text.heads, 4);
  EXPECT_EQ(options.vision.heads, 6);
  EXPECT_EQ(options.text.activation, Activation::kGelu);
  EXPECT_EQ(options.vision.activation, Activation::kQuickGelu);
  EXPECT_EQ(options.vision.eps, 1e-6);
  EXPECT_EQ(options.end_id, 99);
  config["text_config"]["eos_token_id"] = 2;
  apply_clip_config(options, config.dump(), "config.json");
  EXPECT_FALSE(options.end_id.has_value());
  const auto refused = [&](const nlohmann::json& json) {
    return message([&] { apply_clip_config(options, json.dump(), "config.json"); });
  };
  config["text_config"]["hidden_size"] = 48;
  EXPECT_NE(refused(config).find("'text_config.hidden_size' is 48, but the weights' shapes say 32"), std::string::npos);
  config["text_config"]["hidden_size"] = "wide";
  EXPECT_NE(refused(config).find("wrong kind"), std::string::npos);
  config["text_config"] = {{"num_attention_heads", 4.5}};
  EXPECT_NE(refused(config).find("wrong kind"), std::string::npos);
  config["text_config"] = {{"hidden_act", "relu"}};
  EXPECT_NE(refused(config).find("relu"), std::string::npos);
  EXPECT_NE(refused({{"model_type", "bert"}}).find("not a configuration of a CLIP"), std::string::npos);
  const std::string deep = "{\"vision_config\": {}, \"text_config\": {\"hidden_act\": " + std::string(200'000, '[') +
                           std::string(200'000, ']') + "}}";
  EXPECT_FALSE(is_clip_config(deep));
  EXPECT_THROW(apply_clip_config(options, deep, "config.json"), DataError);

  nlohmann::json open_clip = nlohmann::json::parse(kConfig);
  open_clip["model_cfg"].erase("quick_gelu");
  apply_clip_config(options, open_clip.dump(), "open_clip_config.json");
  EXPECT_EQ(options.vision.heads, 3);
  EXPECT_EQ(options.vision.activation, Activation::kGelu);
}

TEST(ClipLoad, FindsTheConfigurationBesideTheWeights) {
  const fs::path folder = fs::path(testing::TempDir()) / "vicha_clip_load";
  fs::remove_all(folder);
  fs::create_directories(folder / "hub");
  const StateDict ours = state_of(Clip(small_clip(), 1));
  write_file_atomic(folder / "config.json", R"({"model_type": "bert"})");  // somebody else's
  write_safetensors(folder / "a.safetensors", ours);
  EXPECT_THROW(load_clip(folder / "a.safetensors"), DataError);
  write_file_atomic(folder / "a.config.json", kConfig);
  EXPECT_EQ(load_clip(folder / "a.safetensors").config.filename(), "a.config.json");
  write_pth(folder / "a.openai.pt", ours);
  EXPECT_EQ(load_clip(folder / "a.openai.pt").config.filename(), "a.config.json");

  write_safetensors(folder / "hub/open_clip_model.safetensors", ours);
  write_file_atomic(folder / "hub/open_clip_config.json", kConfig);
  const LoadedClip loaded = load_clip(folder / "hub");
  EXPECT_EQ(loaded.config.filename(), "open_clip_config.json");
  EXPECT_NE(loaded.what.find("open_clip_config.json"), std::string::npos);
  EXPECT_THROW(load_clip(folder / "nothing"), DataError);
  fs::remove_all(folder);
}

std::string refusal_of(const std::function<void()>& load) {
  try {
    load();
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

TEST(ClipLoad, AConfigurationThatCannotBeReadIsNotOneThatIsNotThere) {
  const fs::path folder = fs::path(testing::TempDir()) / "vicha_clip_config";
  fs::remove_all(folder);
  fs::create_directories(folder);
  ClipOptions options = small_clip();
  options.vision.width = 64;  // a width whose heads need no configuration
  options.vision.heads = 1;
  options.text.width = 64;
  options.text.heads = 1;
  write_safetensors(folder / "model.safetensors", state_of(Clip(options, 1)));
  EXPECT_TRUE(load_clip(folder).config.empty());
  for (const char* name : {"config.json", "open_clip_config.json"}) {
    for (const char* text :
         {"", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n", R"({"text_config": {}, "vision_config": {)",
          R"({"text_config": {}, "vision_config": {},})",
          R"({"text_config": {}, "vision_config": {"layer_norm_eps": NaN}})"}) {
      write_file_atomic(folder / name, text);
      const std::string said = refusal_of([&] { load_clip(folder); });
      EXPECT_NE(said.find(std::string(name) + ": is not a JSON object ("), std::string::npos) << text << "\n" << said;
    }
    fs::remove(folder / name);
  }
  fs::remove_all(folder);
}

TEST(ClipLoad, AScaleWithoutEndIsRefused) {
  for (const double scale : {1e3, 90.0, -1e3}) {
    StateDict tensors = state_of(Clip(small_clip(), 1));
    tensors.set("logit_scale", at::full({}, scale));
    const std::string said = refusal_of([&] { make_clip(tensors, "m.pt", kConfig); });
    EXPECT_NE(said.find("m.pt: 'logit_scale'"), std::string::npos) << scale << said;
  }
}

}  // namespace
}  // namespace vicha
