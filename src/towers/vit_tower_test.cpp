#include "towers/vit_tower.h"

#include <ATen/Parallel.h>

#include "towers/clip_tower_source.h"
#include "towers/towers_test_support.h"

namespace vicha {
namespace {

using namespace towers_test;

VitTowerOptions small_vit() {
  VitTowerOptions o;
  o.width = 48;
  o.depth = 3;
  o.heads = 3;
  o.inner = 80;
  o.patch = 8;
  o.grid = 4;
  return o;
}

struct Variant {
  const char* name;
  std::function<void(VitTowerOptions&)> change;
};

const Variant kVariants[] = {
    {"vit", [](VitTowerOptions&) {}},
    {"one_block", [](VitTowerOptions& o) { o.depth = 1; }},
    {"pooler", [](VitTowerOptions& o) { o.pooling = TowerPooling::kClassDense, o.eps = 1e-12; }},
    {"distilled", [](VitTowerOptions& o) { o.prefix = 2, o.pooling = TowerPooling::kTokens; }},
    {"average", [](VitTowerOptions& o) { o.pooling = TowerPooling::kAverage, o.norm_after = false, o.fc_norm = true; }},
    {"no_class", [](VitTowerOptions& o) { o.prefix = 0, o.pooling = TowerPooling::kAverage; }},
    {"registers", [](VitTowerOptions& o) { o.registers = 4, o.antialias = true; }},
    {"gated", [](VitTowerOptions& o) { o.swiglu = true; }},
    {"siglip",
     [](VitTowerOptions& o) {
       o.prefix = 0, o.pooling = TowerPooling::kAttention, o.pool_inner = 64, o.activation = TowerActivation::kGeluTanh;
     }},
    {"clip",
     [](VitTowerOptions& o) {
       o.pooling = TowerPooling::kProjected, o.embed = 20, o.norm_before = true, o.patch_bias = false;
       o.activation = TowerActivation::kQuickGelu;
     }},
};

class VitPaths : public testing::TestWithParam<Variant> {};

TEST_P(VitPaths, TheFastPathEqualsThePlainOne) {
  VitTowerOptions options = small_vit();
  GetParam().change(options);
  const VitNet net(options, 7);
  liven(net.parameters());
  // Few pictures share the threads of each product, many are shared out among the threads; other sizes and proportions.
  const std::vector<std::array<std::int64_t, 3>> kSizes = {{1, 32, 32}, {3, 40, 24}, {2, 64, 65}, {150, 32, 32}};
  for (const auto& [count, height, width] : kSizes) {
    const at::Tensor pixels = at::randn({count, 3, height, width});
    const VitNet::States plain = net.states(pixels);
    const TowerFeatures both = net.encode(pixels, true), alone = net.encode(pixels, false);
    EXPECT_EQ(both.rows, height / 8);
    EXPECT_EQ(both.columns, width / 8);
    EXPECT_LT(furthest(both.pooled_BP, plain.pooled), 1e-4) << count;
    EXPECT_LT(furthest(alone.pooled_BP, plain.pooled), 1e-4) << count;
    EXPECT_FALSE(alone.patches_BND.defined());
    EXPECT_LT(furthest(both.patches_BND, plain.last.slice(1, options.prefix + options.registers)), 1e-4) << count;
    EXPECT_FALSE(both.pooled_BP.requires_grad());
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, VitPaths, testing::ValuesIn(kVariants),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(VitNet, RunsInsideOfAParallelRegionAndOnNothing) {
  const VitNet net(small_vit(), 7);
  liven(net.parameters());
  const at::Tensor pixels = at::randn({150, 3, 32, 32}), outside = net.encode(pixels, false).pooled_BP;
  at::Tensor inside;
  at::parallel_for(0, 1, 1, [&](std::int64_t, std::int64_t) { inside = net.encode(pixels, false).pooled_BP; });
  EXPECT_LT(furthest(inside, outside), 1e-6);
  EXPECT_EQ(net.encode(at::empty({0, 3, 32, 32}), true).patches_BND.sizes(), (std::vector<std::int64_t>{0, 16, 48}));
  EXPECT_TRUE(contains(message([&] { net.encode(at::zeros({1, 3, 7, 32}), false); }), "(1, 3, 7, 32)"));
  EXPECT_TRUE(contains(message([&] { net.encode(at::zeros({1, 1, 32, 32}), false); }), "(1, 1, 32, 32)"));
}

/// timm's names and shapes.
StateDict as_timm(const VitNet& net) {
  StateDict timm;
  const std::int64_t prefix = net.options().prefix;
  for (const auto& [name, tensor] : state_of(net.parameters())) {
    if (name == "prefix_tokens") {
      timm.set("cls_token", tensor.slice(0, 0, 1).unsqueeze(0).clone());
      if (prefix == 2) timm.set("dist_token", tensor.slice(0, 1).unsqueeze(0).clone());
    } else {
      timm.set(name, name == "pos_embed" || name == "register_tokens" ? tensor.unsqueeze(0) : tensor);
    }
  }
  return timm;
}

const at::Tensor& some_pixels() {
  static const at::Tensor pixels = at::randn({2, 3, 32, 32});
  return pixels;
}

std::string config_of(const VitTowerOptions& o, const std::string& type, const std::string& more = "") {
  return fmt::format(R"({{"model_type": "{}", "hidden_size": {}, "num_hidden_layers": {}, "num_attention_heads": {},
    "patch_size": {}, "image_size": {}, "layer_norm_eps": {}{}}})",
                     type, o.width, o.depth, o.heads, o.patch, o.image_res(), o.eps, more);
}

TEST(VitNames, TimmsDistilledDeitGivesTheMeanOfItsTwoTokens) {
  VitTowerOptions options = small_vit();
  options.prefix = 2;
  options.pooling = TowerPooling::kTokens;
  const VitNet net(options, 7);
  liven(net.parameters());
  StateDict timm = as_timm(net);
  timm.set("head.weight", at::zeros({10, 48}));
  timm.set("head_dist.weight", at::zeros({10, 48}));
  RenameReport report;
  const auto loaded = make_vit_net(timm, VitKind::kVit, "deit.pth", config_of(options, "deit"), "config", &report);
  EXPECT_TRUE(at::equal(loaded->encode(some_pixels(), false).pooled_BP, net.encode(some_pixels(), false).pooled_BP));
  EXPECT_EQ(report.dropped.size(), 2U);
}

TEST(VitNames, PositionsWithoutTheClassTokenAndWithoutBiases) {
  const VitNet net(small_vit(), 7);
  liven(net.parameters());
  StateDict timm = as_timm(net);
  {
    const at::NoGradGuard no_grad;
    for (const Parameter& p : net.parameters().parameters()) {
      if (p.name == "pos_embed") p.value[0].zero_();
      if (p.name.ends_with("qkv.bias")) p.value.zero_();
    }
  }
  timm.set("pos_embed", timm.at("pos_embed").slice(1, 1));
  for (int i = 0; i < 3; ++i) timm.erase(fmt::format("blocks.{}.attn.qkv.bias", i));
  const auto loaded = make_vit_net(timm, VitKind::kVit, "timm.pth", config_of(net.options(), "vit"));
  EXPECT_TRUE(at::equal(loaded->encode(some_pixels(), false).pooled_BP, net.encode(some_pixels(), false).pooled_BP));
}

TEST(VitNames, MetasDinov2WithLayerScaleFoldedRegistersAndGates) {
  VitTowerOptions options = small_vit();
  options.registers = 2;
  options.swiglu = true;
  options.antialias = true;
  const VitNet net(options, 7);
  liven(net.parameters());
  StateDict meta;
  for (const auto& [name, tensor] : as_timm(net)) {
    meta.set("teacher.backbone." + replaced(replaced(name, "mlp.fc1", "mlp.w12"), "mlp.fc2", "mlp.w3"), tensor);
  }
  meta.set("teacher.backbone.mask_token", at::zeros({1, 48}));
  meta.set("teacher.dino_head.weight", at::zeros({1, 48}));
  const at::NoGradGuard no_grad;
  for (int i = 0; i < 3; ++i) {
    for (const auto& [scale, map] : {std::pair{"ls1", "attn.proj"}, std::pair{"ls2", "mlp.fc2"}}) {
      const at::Tensor gamma = at::rand({48}) + 0.5;
      meta.set(fmt::format("teacher.backbone.blocks.{}.{}.gamma", i, scale), gamma);
      const ParameterStore& store = net.parameters();
      store.parameter(fmt::format("blocks.{}.{}.weight", i, map)).value.mul_(gamma.unsqueeze(1));
      store.parameter(fmt::format("blocks.{}.{}.bias", i, map)).value.mul_(gamma);
    }
  }
  EXPECT_EQ(detect_tower_naming(meta), TowerNaming::kMetaDinov2);
  RenameReport report;
  const auto loaded =
      make_vit_net(meta, VitKind::kDinov2, "dinov2.pth",
                   config_of(options, "dinov2_with_registers", R"(, "num_register_tokens": 2)"), "config", &report);
  EXPECT_EQ(report.dropped.size(), 2U);
  EXPECT_LT(furthest(loaded->encode(some_pixels(), false).pooled_BP, net.encode(some_pixels(), false).pooled_BP), 1e-6);
  // Another size, whose positions are interpolated.
  const at::Tensor larger = at::randn({1, 3, 48, 24});
  EXPECT_LT(furthest(loaded->encode(larger, true).patches_BND, net.encode(larger, true).patches_BND), 1e-6);
  EXPECT_TRUE(contains(message([&] { make_vit_net(meta, VitKind::kVit, "d.pth"); }), "Give them as dinov2:d.pth"));
}

TEST(VitNames, WeightsOfAnotherKindAreNamedForWhatTheyAre) {
  const VitNet net(small_vit(), 7);
  const StateDict timm = as_timm(net);
  EXPECT_TRUE(
      contains(message([&] { make_vit_net(timm, VitKind::kSiglip, "a.pth"); }), "are a timm/DeiT ViT, not a SigLIP"));
  EXPECT_TRUE(contains(message([&] { make_vit_net(timm, VitKind::kDinov2, "a.pth"); }), "without LayerScale"));
  StateDict clip;
  clip.set("visual.class_embedding", at::zeros({4}));
  clip.set("visual.transformer.resblocks.0.ln_1.weight", at::zeros({4}));
  clip.set("transformer.resblocks.0.ln_1.weight", at::zeros({4}));
  EXPECT_TRUE(contains(message([&] { make_vit_net(clip, VitKind::kVit, "a.pt"); }), "are a CLIP"));
  StateDict bert;
  bert.set("embeddings.word_embeddings.weight", at::zeros({4, 4}));
  EXPECT_TRUE(contains(message([&] { make_vit_net(bert, VitKind::kVit, "a.bin"); }), "a Hugging Face BERT"));
  StateDict odd;
  odd.set("conv_stem.weight", at::zeros({4}));
  EXPECT_TRUE(contains(message([&] { make_vit_net(odd, VitKind::kVit, "a.pth"); }), "conv_stem.weight"));
  StateDict two;
  for (const auto& [name, tensor] : timm) two.set("student." + name, tensor), two.set("teacher." + name, tensor);
  EXPECT_TRUE(contains(message([&] { make_vit_net(two, VitKind::kVit, "a.pth"); }), "two picture towers"));
}

TEST(VitNames, WhatDoesNotFitIsRefused) {
  const VitNet net(small_vit(), 7);
  const StateDict timm = as_timm(net);
  const auto load = [&](const StateDict& tensors, const std::string& config) {
    return message([&] { make_vit_net(tensors, VitKind::kVit, "a.pth", config, "c.json"); });
  };
  const std::string config = config_of(net.options(), "vit");
  EXPECT_TRUE(contains(load(timm, ""), "do not tell how many attention heads"));
  EXPECT_TRUE(contains(load(timm, config_of(net.options(), "vit", R"(, "intermediate_size": 192)")),
                       "'intermediate_size' is 192"));
  EXPECT_TRUE(
      contains(load(timm, config_of(net.options(), "vit", R"(, "hidden_act": "relu")")), "'hidden_act' is \"relu\""));
  EXPECT_TRUE(contains(load(timm, R"({"num_attention_heads": 5})"), "5 attention heads do not divide"));
  StateDict lacking = timm;
  lacking.erase("blocks.1.norm2.weight");
  EXPECT_TRUE(contains(load(lacking, config), "blocks.1.norm2.weight"));
  StateDict more = timm;
  more.set("blocks.0.attn.q_norm.weight", at::ones({16}));
  EXPECT_TRUE(contains(load(more, config), "blocks.0.attn.q_norm.weight"));
  StateDict odd = timm;
  odd.set("pos_embed", at::zeros({1, 16, 48}));
  EXPECT_NE(make_vit_net(odd, VitKind::kVit, "a.pth", config),
            nullptr);  // a square of patches, the class token without
  odd.set("pos_embed", at::zeros({1, 15, 48}));
  EXPECT_TRUE(contains(load(odd, config), "15 positions"));
  StateDict nan = timm;
  nan.set("norm.weight", at::full({48}, NAN));
  EXPECT_TRUE(contains(load(nan, config), "NaN"));
}

TEST(VitTower, TheSameWeightsInAnotherFileHaveTheSameIdentity) {
  const Folder folder;
  const VitNet net(small_vit(), 7);
  {
    const at::NoGradGuard no_grad;
    for (const Parameter& p : net.parameters().parameters()) p.value.copy_(p.value.to(at::kHalf));
  }
  StateDict half;
  for (const auto& [name, tensor] : as_timm(net)) half.set("module." + name, tensor.to(at::kHalf));
  write_safetensors(folder / "a.safetensors", as_timm(net));
  write_safetensors(folder / "b.safetensors", half);
  write_file_atomic(folder / "a.config.json", config_of(net.options(), "vit"));
  write_file_atomic(folder / "b.config.json", config_of(net.options(), "vit"));
  Log log;
  const auto a = load_vit_tower(VitKind::kVit, folder / "a.safetensors");
  EXPECT_TRUE(contains(log.text, "no preprocessor_config.json"));
  EXPECT_FALSE(contains(log.text, "heads are taken for granted"));
  const auto b = load_vit_tower(VitKind::kVit, folder / "b.safetensors");
  EXPECT_EQ(a->identity().sha256, b->identity().sha256);
  EXPECT_EQ(a->identity().kind, "vit");
  EXPECT_EQ(a->input().describe(),
            "shorter side 36 bicubic, centre 32x32, mean 0.485 0.456 0.406, std 0.229 0.224 0.225");
  write_file_atomic(folder / "b.config.json", replaced(config_of(net.options(), "vit"), "\"num_attention_heads\": 3",
                                                       "\"num_attention_heads\": 6"));
  EXPECT_NE(load_vit_tower(VitKind::kVit, folder / "b.safetensors")->identity().sha256, a->identity().sha256);
}

TEST(VitTower, AConfigurationThatCannotBeReadIsNotOneThatIsNotThere) {
  const Folder folder;
  const VitNet net(small_vit(), 7);
  write_safetensors(folder / "a.safetensors", as_timm(net));
  for (const char* name : {"a.config.json", "config.json", "preprocessor_config.json"}) {
    for (const char* text : {"", "version https://git-lfs.github.com/spec/v1\n", "{\"model_type\": \"vit\",}",
                             "{\"model_type\": \"vit\", \"layer_norm_eps\": NaN}"}) {
      if (std::string_view(name) == "preprocessor_config.json") {
        write_file_atomic(folder / "a.config.json", config_of(net.options(), "vit"));
      }
      write_file_atomic(folder / name, text);
      const std::string said = message([&] { load_vit_tower(VitKind::kVit, folder / "a.safetensors"); });
      EXPECT_TRUE(contains(said, std::string(name) + ": is not a JSON object (")) << said;
    }
    fs::remove(folder / name);
  }
}

TEST(VitTower, OfAWholeSiglipTheTextTowerIsLeftOutAndSaid) {
  const Folder folder;
  const fs::path golden = fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/towers";
  StateDict whole = read_safetensors(golden / "siglip_tiny.safetensors");
  whole.set("text_model.encoder.layers.0.layer_norm1.weight", at::ones({48}));
  whole.set("text_model.head.weight", at::ones({48, 48}));
  whole.set("logit_scale", at::ones({1}));
  whole.set("logit_bias", at::ones({1}));
  write_safetensors(folder / "model.safetensors", whole);
  std::string vision = read_file(golden / "siglip_tiny.config.json");
  write_file_atomic(folder / "config.json",
                    R"({"model_type": "siglip", "text_config": {}, "vision_config": )" + vision + "}");
  Log log;
  const auto tower = load_vit_tower(VitKind::kSiglip, folder.path());
  EXPECT_TRUE(contains(log.text, "left out of the contrast with texts (2), the text tower (2)"));
  const auto alone = load_vit_tower(VitKind::kSiglip, golden / "siglip_tiny.safetensors");
  EXPECT_EQ(tower->identity().sha256, alone->identity().sha256);
  EXPECT_TRUE(
      contains(message([&] { load_vit_tower(VitKind::kDinov2, folder.path()); }), "are a SigLIP, not a DINOv2"));
}

TEST(ClipTower, GivesWhatClipGives) {
  ClipOptions o;
  o.vision = {48, 3, 3, 96, Activation::kQuickGelu, 1e-5};
  o.text = {32, 2, 2, 128, Activation::kQuickGelu, 1e-5};
  o.image_res = 32;
  o.patch = 8;
  o.vocabulary = 100;
  o.context = 20;
  o.embed = 24;
  const Clip clip(o, 7);
  liven(clip.parameters());
  const auto net = clip_image_net(clip);
  const at::Tensor pixels = at::randn({5, 3, 32, 32});
  const TowerFeatures features = net->encode(pixels, true);
  const Clip::States states = clip.image_states(pixels);
  EXPECT_LT(furthest(features.pooled_BP, clip.encode_image(pixels)), 1e-5);
  EXPECT_LT(furthest(features.patches_BND, states.normed.slice(1, 1)), 1e-5);
  EXPECT_LT(furthest(net->states(pixels).hidden[1], states.hidden[1]), 1e-5);
}

}  // namespace
}  // namespace vicha
