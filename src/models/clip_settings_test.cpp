// The settings beside CLIP's weights: each is read, refused by name, or known to change nothing.
#include "models/clip_settings.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/log.h"
#include "models/clip.h"

namespace vicha::clip_settings_test {
namespace {

using Json = nlohmann::json;

ClipOptions tiny_options() {
  ClipOptions o;
  o.vision = {48, 2, 3, 96, Activation::kGelu, 1e-5};
  o.text = {32, 2, 2, 128, Activation::kGelu, 1e-5};
  o.image_res = 32, o.patch = 8, o.vocabulary = 100, o.context = 12, o.embed = 24;
  return o;
}

/// Weights that make every number matter, the same for all options.
StateDict tiny_weights() {
  const Clip clip(tiny_options(), 7);
  at::manual_seed(3);
  const at::NoGradGuard no_grad;
  StateDict state;
  for (const Parameter& p : clip.parameters().parameters()) {
    state.set(p.name, p.value.detach() * 4 + at::randn(p.value.sizes()) * 0.05);
  }
  return state;
}

Json open_clip_json() {
  return {{"embed_dim", 24},
          {"vision_cfg", {{"width", 48}, {"layers", 2}, {"image_size", 32}, {"patch_size", 8}, {"head_width", 16}}},
          {"text_cfg", {{"width", 32}, {"layers", 2}, {"heads", 2}, {"vocab_size", 100}, {"context_length", 12}}}};
}
Json with(const char* tower, const Json& settings) {
  Json json = open_clip_json();
  json[tower].update(settings);
  return json;
}
Json hugging_face_json() {
  return {{"model_type", "clip"},
          {"projection_dim", 24},
          {"text_config", {{"hidden_size", 32}, {"num_attention_heads", 2}, {"hidden_act", "gelu"}}},
          {"vision_config", {{"hidden_size", 48}, {"num_attention_heads", 3}, {"hidden_act", "gelu"}}}};
}

std::unique_ptr<Clip> made(const Json& json) { return make_clip(tiny_weights(), "weights", json.dump(), "c.json"); }

std::string refusal(const Json& json) {
  try {
    made(json);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

void expect_refused(const Json& json, const std::string& key, const std::string& value) {
  const std::string message = refusal(json);
  EXPECT_NE(message.find("c.json"), std::string::npos) << key << ": " << message;
  EXPECT_NE(message.find(key + "'"), std::string::npos) << key << ": " << message;
  EXPECT_NE(message.find(value), std::string::npos) << key << ": " << message;
}

std::string warnings_of(const Json& json) {
  std::string warnings;
  log::set_sink([&](log::Level level, std::string_view line) {
    if (level == log::Level::kWarning) warnings += line;
  });
  made(json);
  log::set_sink({});
  return warnings;
}

double apart(const at::Tensor& a, const at::Tensor& b) { return ((a - b).abs().max() / b.abs().max()).item<double>(); }

at::Tensor ids_of(std::int64_t length) {
  at::Tensor ids = at::arange(1, length + 1).repeat({3, 1});
  for (std::int64_t i = 0; i < 3; ++i) ids[i][2 + i] = 99;
  return ids;
}

TEST(ClipSettings, ImagesArePooledAsTheConfigurationSays) {
  const at::Tensor pixels = at::randn({3, 3, 32, 32});
  const auto plain = made(open_clip_json());
  const Clip::States states = plain->image_states(pixels);
  const auto parameter = [&](std::string_view name) {
    for (const Parameter& p : plain->parameters().parameters()) {
      if (p.name == name) return p.value;
    }
    return at::Tensor();
  };
  const auto norm = [&](const at::Tensor& x) {
    return at::layer_norm(x, {48}, parameter("visual.ln_post.weight"), parameter("visual.ln_post.bias"), 1e-5);
  };
  const at::Tensor proj = parameter("visual.proj"), last = states.hidden.back();
  const std::pair<Json, at::Tensor> cases[] = {
      {{{"pool_type", "tok"}}, norm(last).select(1, 0)},
      {{{"pool_type", "tok"}, {"final_ln_after_pool", true}}, norm(last).select(1, 0)},
      {{{"pool_type", "avg"}}, norm(last).slice(1, 1).mean(1)},
      {{{"pool_type", "avg"}, {"final_ln_after_pool", true}}, norm(last.slice(1, 1).mean(1))},
      {{{"global_average_pool", true}}, norm(last.mean(1))},
  };
  for (const auto& [settings, pooled] : cases) {
    const auto clip = made(with("vision_cfg", settings));
    const at::Tensor wanted = at::mm(pooled, proj);
    EXPECT_LT(apart(clip->encode_image(pixels), wanted), 1e-5) << settings;
    EXPECT_LT(apart(clip->image_states(pixels).features, wanted), 1e-5) << settings;
  }
  EXPECT_GT(apart(made(with("vision_cfg", {{"pool_type", "avg"}}))->encode_image(pixels), plain->encode_image(pixels)),
            1e-2);
}

TEST(ClipSettings, TextsAreMaskedAndPooledAsTheConfigurationSays) {
  const at::Tensor ids = ids_of(8), whole = at::constant_pad_nd(ids, {0, 4});
  for (const Json& settings : std::vector<Json>{{{"pool_type", "first"}},
                                                {{"pool_type", "last"}},
                                                {{"pool_type", "eos"}, {"eos_id", 4}},
                                                {{"no_causal_mask", true}},
                                                {{"no_causal_mask", true}, {"pool_type", "first"}},
                                                {{"no_causal_mask", true}, {"pool_type", "last"}}}) {
    const auto clip = made(with("text_cfg", settings));
    const at::Tensor texts = clip->encode_text(ids);
    EXPECT_LT(apart(texts, clip->text_states(ids).features), 1e-5) << settings;
    EXPECT_LT(apart(texts, clip->encode_text(whole)), 1e-5) << settings;  // 0 is what texts are padded with
    EXPECT_GT(apart(texts, made(open_clip_json())->encode_text(ids)), 1e-3) << settings;
    const bool no_mask = settings.contains("no_causal_mask"), last = settings.value("pool_type", "") == "last";
    // What stands behind the end counts where every token sees it, or where it is what is read.
    at::Tensor other = whole.clone();
    other.select(1, 11).fill_(5);
    EXPECT_EQ(apart(clip->encode_text(other), texts) > 1e-4, no_mask || last) << settings;
  }
  EXPECT_EQ(made(with("text_cfg", {{"pool_type", "last"}}))->pooled_at(ids), (std::vector<std::int64_t>(3, 11)));
  EXPECT_EQ(made(with("text_cfg", {{"pool_type", "eos"}, {"eos_id", 4}}))->pooled_at(ids),
            (std::vector<std::int64_t>{3, 0, 3}));
  // A norm of each row and the choice of a row may change places.
  const at::Tensor plain = made(open_clip_json())->encode_text(ids);
  EXPECT_TRUE(at::equal(made(with("text_cfg", {{"final_ln_after_pool", true}}))->encode_text(ids), plain));
}

TEST(ClipSettings, NormsAndActivations) {
  Json json = with("vision_cfg", {{"norm_kwargs", {{"eps", 0.1}}}, {"act_kwargs", {{"approximate", "none"}}}});
  EXPECT_EQ(made(json)->options().vision.eps, 0.1);
  EXPECT_EQ(made(json)->options().text.eps, 1e-5);
  json["quick_gelu"] = true;
  EXPECT_EQ(made(json)->options().text.activation, Activation::kQuickGelu);
  Json theirs = hugging_face_json();
  theirs["vision_config"]["layer_norm_eps"] = 1e-3;
  EXPECT_EQ(made(theirs)->options().vision.eps, 1e-3);
  // The older of two ways to say it wins in transformers, its defaults included.
  theirs["vision_config_dict"] = {{"num_attention_heads", 6}};
  EXPECT_EQ(made(theirs)->options().vision.eps, 1e-5);
  EXPECT_EQ(made(theirs)->options().vision.heads, 6);
  EXPECT_EQ(made(theirs)->options().vision.activation, Activation::kQuickGelu);
}

TEST(ClipSettings, WhatIsNotBuiltIsRefusedByName) {
  const std::pair<const char*, Json> vision[] = {{"timm_model_name", "vit_base_patch16_224"},
                                                 {"attentional_pool", true},
                                                 {"no_ln_pre", true},
                                                 {"ls_init_value", 1e-5},
                                                 {"pos_embed_type", "rope"},
                                                 {"pool_type", "none"},
                                                 {"qk_norm", true},
                                                 {"block_type", "custom"},
                                                 {"layers", Json::array({3, 4, 6, 3})},
                                                 {"image_size", Json::array({32, 64})},
                                                 {"head_width", 0},
                                                 {"mlp_ratio", 3.0}};
  for (const auto& [key, value] : vision) expect_refused(with("vision_cfg", {{key, value}}), key, value.dump());
  const std::pair<const char*, Json> text[] = {{"hf_model_name", "roberta-base"},
                                               {"hf_tokenizer_name", "bert-base-uncased"},
                                               {"pool_type", "none"},
                                               {"proj_bias", true},
                                               {"proj_type", "none"},
                                               {"embed_cls", true},
                                               {"text_arch", "modern"},
                                               {"tokenizer_mode", "x"}};
  for (const auto& [key, value] : text) expect_refused(with("text_cfg", {{key, value}}), key, value.dump());
  expect_refused(with("text_cfg", {{"act_kwargs", {{"approximate", "tanh"}}}}), "text_cfg.act_kwargs.approximate",
                 "tanh");
  expect_refused(with("text_cfg", {{"norm_kwargs", {{"elementwise_affine", false}}}}), "elementwise_affine", "false");
  expect_refused(with("text_cfg", {{"tokenizer_kwargs", {{"clean", "canonicalize"}}}}), "clean", "canonicalize");
  expect_refused(with("text_cfg", {{"pool_type", "eos"}}), "eos_id", "missing");
  expect_refused(with("text_cfg", {{"pad_id", 1}, {"no_causal_mask", true}}), "pad_id", "1");
  expect_refused(with("text_cfg", {{"context_length", 77}}), "text_cfg.context_length", "77");
  Json coca = open_clip_json();
  coca["multimodal_cfg"] = {{"layers", 12}};
  expect_refused(coca, "multimodal_cfg", "12");

  Json theirs = hugging_face_json();
  theirs["model_type"] = "siglip";
  expect_refused(theirs, "model_type", "\"siglip\"");
  theirs = hugging_face_json();
  theirs["vision_config"]["hidden_act"] = "gelu_pytorch_tanh";
  expect_refused(theirs, "vision_config.hidden_act", "gelu_pytorch_tanh");
  theirs = hugging_face_json();
  theirs["vision_config"]["num_channels"] = 4;
  expect_refused(theirs, "num_channels", "4");
  theirs = hugging_face_json();
  theirs["projection_dim"] = 512;
  expect_refused(theirs, "projection_dim", "512");
}

TEST(ClipSettings, WhatChangesNothingIsPassedOverAndTheRestIsNamed) {
  Json json = with("vision_cfg", {{"patch_dropout", 0.5},
                                  {"output_tokens", true},
                                  {"attn_pooler_heads", 8},
                                  {"image_size", {32, 32}},
                                  {"mlp_ratio", 2.0},
                                  {"timm_pool", "avg"},
                                  {"act_kwargs", nullptr}});
  json["custom_text"] = true;
  json["text_cfg"].update(
      {{"pad_id", 1}, {"hf_tokenizer_name", "openai/clip-vit-base-patch32"}, {"tokenizer_kwargs", Json::object()}});
  EXPECT_EQ(warnings_of(json), "");
  json["vision_cfg"]["spiral_attention"] = 3;
  json["text_cfg"]["new_thing"] = nullptr;
  const std::string warning = warnings_of(json);
  EXPECT_NE(warning.find("c.json"), std::string::npos) << warning;
  EXPECT_NE(warning.find("'vision_cfg.spiral_attention' (3)"), std::string::npos) << warning;
  EXPECT_EQ(warning.find("new_thing"), std::string::npos) << warning;
  Json theirs = hugging_face_json();
  theirs["text_config"].update(
      {{"torch_dtype", "float32"}, {"top_k", 50}, {"attention_dropout", 0.1}, {"spiral", "yes"}});
  EXPECT_NE(warnings_of(theirs).find("'text_config.spiral' (\"yes\")"), std::string::npos);
  EXPECT_EQ(warnings_of(theirs).find("top_k"), std::string::npos);
}

}  // namespace
}  // namespace vicha::clip_settings_test
