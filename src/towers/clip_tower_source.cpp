#include "towers/clip_tower_source.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/files.h"
#include "checkpoint/files/open.h"
#include "checkpoint/names/load_report.h"
#include "models/named_weights.h"
#include "models/weights_hash.h"
#include "towers/naming.h"
#include "towers/preprocess.h"

namespace vicha {
namespace {

constexpr const char* kTokenizers[] = {"tokenizer.json", "vocab.json", "bpe_simple_vocab_16e6.txt.gz",
                                       "bpe_simple_vocab_16e6.txt"};

constexpr NameRule kRules[] = {
    {"visual.positional_embedding", "pos_embed"},
    {"visual.conv1.weight", "patch_embed.proj.weight"},
    {"visual.ln_pre.*", "norm_pre.*"},
    {"visual.ln_post.*", "norm.*"},
    {"visual.transformer.resblocks.*.ln_*.*", "blocks.*.norm*.*"},
    {"visual.transformer.resblocks.*.attn.in_proj_*", "blocks.*.attn.qkv.*"},
    {"visual.transformer.resblocks.*.attn.out_proj.*", "blocks.*.attn.proj.*"},
    {"visual.transformer.resblocks.*.mlp.c_fc.*", "blocks.*.mlp.fc1.*"},
    {"visual.transformer.resblocks.*.mlp.c_proj.*", "blocks.*.mlp.fc2.*"},
};

/// load_clip, whose errors do not know of other towers.
LoadedClip load_or_name(const fs::path& path) {
  try {
    return load_clip(path);
  } catch (const DataError&) {
    const Weights weights = open_weights(path, true);  // if it cannot be read, that is the error
    const TowerNaming naming = detect_tower_naming(weights.tensors);
    const bool other = naming != TowerNaming::kClip && !towers::prefix_of(naming).empty();
    if (other) towers::refuse_kind(weights.tensors, "a CLIP", path.string());
    throw;
  }
}

std::string text_settings(const ClipOptions& o) {
  return fmt::format("{} heads, {}, eps {}, end {}, pool {}, {}", o.text.heads,
                     o.text.activation == Activation::kGelu ? "gelu" : "quick_gelu", o.text.eps, o.end_id.value_or(-1),
                     static_cast<int>(o.text_pool), o.text_causal ? "causal" : "open");
}

class ClipTextTower final : public TextTower {
 public:
  ClipTextTower(std::unique_ptr<Clip> clip, fs::path vocabulary) : clip_(std::move(clip)) {
    const ClipOptions& o = clip_->options();
    input_.tokenizer = TextInput::Tokenizer::kClipBpe;
    input_.vocabulary = std::move(vocabulary);
    input_.vocabulary_size = o.vocabulary;
    input_.max_tokens = o.context;
    identity_.kind = "clip";
    identity_.name = fmt::format("{}, {}", o.name(), parameter_count(clip_->parameters()));
    identity_.sha256 = weights_sha256(clip_->parameters(), text_settings(o));
    identity_.view = input_.describe();
  }
  std::int64_t width() const override { return clip_->options().embed; }
  at::Tensor encode(const std::vector<std::vector<std::int64_t>>& ids) const override {
    check_ids(ids);
    if (ids.empty()) return at::empty({0, width()}, at::device(device()).dtype(at::kFloat));
    std::size_t longest = 1;
    for (const auto& row : ids) longest = std::max(longest, row.size());
    const at::Tensor padded =
        at::zeros({static_cast<std::int64_t>(ids.size()), static_cast<std::int64_t>(longest)}, at::kLong);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      std::copy(ids[i].begin(), ids[i].end(), padded.data_ptr<std::int64_t>() + i * longest);
    }
    return clip_->encode_text(padded);
  }
  void to(const at::Device& device) override { clip_->to(device); }
  at::Device device() const override { return clip_->device(); }

 private:
  std::unique_ptr<Clip> clip_;
};

}  // namespace

std::unique_ptr<VitNet> clip_image_net(const Clip& clip) {
  const ClipOptions& c = clip.options();
  VitTowerOptions o;
  o.width = c.vision.width;
  o.depth = c.vision.depth;
  o.heads = c.vision.heads;
  o.inner = c.vision.inner;
  o.eps = c.vision.eps;
  o.patch = c.patch;
  o.grid = c.image_res / c.patch;
  o.embed = c.embed;
  o.patch_bias = false;
  o.norm_before = true;
  o.activation = c.vision.activation == Activation::kGelu ? TowerActivation::kGelu : TowerActivation::kQuickGelu;
  o.pooling = TowerPooling::kProjected;
  StateDict named;
  for (const Parameter& p : clip.parameters().parameters()) {
    if (!p.name.starts_with("visual.")) continue;
    if (p.name == "visual.class_embedding") {
      named.set("prefix_tokens", p.value.unsqueeze(0));
    } else if (p.name == "visual.proj") {
      named.set("projection", p.value.t());
    } else {
      named.set(*rename(p.name, kRules), p.value);
    }
  }
  auto net = std::make_unique<VitNet>(o);
  fill_parameters(net->parameters(), named, "CLIP's picture tower", "");
  // CLIPs that pool in another way, or have other parts, would pass everything above.
  at::Tensor pixels = at::arange(3 * c.image_res * c.image_res, at::kFloat).view({1, 3, c.image_res, c.image_res});
  pixels = pixels.mul_(0.7).sin_();
  const at::Tensor ours = net->encode(pixels, false).pooled_BP, theirs = clip.encode_image(pixels).to(ours.device());
  if (!((ours - theirs).abs().max().item<double>() <= 1e-2 * theirs.abs().max().item<double>())) {
    throw DataError("CLIP's picture tower",
                    "gives another feature than the CLIP: it pools in a way that is not built here");
  }
  return net;
}

std::unique_ptr<VitTower> load_clip_image_tower(const fs::path& path) {
  const LoadedClip loaded = load_or_name(path);
  const ClipOptions& o = loaded.clip->options();
  const TowerInput input = towers::input_beside(path, towers::Recipe::kClip, o.image_res, o.patch);
  return std::make_unique<VitTower>(clip_image_net(*loaded.clip), input, "clip", "CLIP's picture tower");
}

std::unique_ptr<TextTower> load_clip_text_tower(const fs::path& path) {
  LoadedClip loaded = load_or_name(path);
  const fs::path folder = fs::is_directory(path) ? path : path.parent_path();
  fs::path vocabulary;
  for (const char* name : kTokenizers) {
    if (vocabulary.empty() && fs::is_regular_file(folder / name)) vocabulary = folder / name;
  }
  return std::make_unique<ClipTextTower>(std::move(loaded.clip), std::move(vocabulary));
}

}  // namespace vicha
