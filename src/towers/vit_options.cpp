#include "towers/vit_options.h"

#include <ATen/core/Tensor.h>
#include <fmt/ranges.h>

#include <cmath>

#include "models/named_weights.h"
#include "towers/json_fields.h"

namespace vicha {
namespace {

using towers::Fields;
using towers::Json;

/// Heads of published models; most are 64 wide.
std::int64_t published_heads(std::int64_t width) {
  if (width == 1152 || width == 1280 || width == 1408 || width == 1664) return 16;
  return width % 64 == 0 ? width / 64 : 0;
}

void read_grid(VitTowerOptions& options, const StateDict& named, std::string_view where) {
  options.prefix = named.contains("prefix_tokens") ? shaped(named, "prefix_tokens", 2, where).size(0) : 0;
  if (named.contains("register_tokens")) options.registers = shaped(named, "register_tokens", 2, where).size(0);
  const std::int64_t positions = shaped(named, "pos_embed", 2, where).size(0), patches = positions - options.prefix;
  options.grid = patches > 0 ? static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(patches)))) : 0;
  if (options.grid == 0 || options.grid * options.grid != patches) {
    throw DataError(where, fmt::format("has {} positions, which are not {} tokens and a square of patches", positions,
                                       options.prefix));
  }
}

TowerPooling pooling_of(const StateDict& named, VitKind kind, TowerNaming naming, std::int64_t prefix, bool fc_norm,
                        std::string_view where) {
  if (kind == VitKind::kSiglip) return TowerPooling::kAttention;
  if (kind == VitKind::kVit && named.contains("pooler.weight")) return TowerPooling::kClassDense;
  if (fc_norm || (prefix == 0 && naming == TowerNaming::kTimm)) return TowerPooling::kAverage;
  if (prefix == 0) throw DataError(where, "has no class token, so nothing says what its pooled feature is");
  return prefix == 2 && naming == TowerNaming::kTimm ? TowerPooling::kTokens : TowerPooling::kClass;
}

TowerActivation activation_of(const std::string& name, const Fields& fields) {
  if (name == "gelu") return TowerActivation::kGelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return TowerActivation::kGeluTanh;
  if (name == "quick_gelu") return TowerActivation::kQuickGelu;
  fields.refuse("hidden_act", "built are gelu, gelu_pytorch_tanh, quick_gelu");
}

/// The part of a configuration that is about pictures.
const Json& vision_part(const Json& json) {
  const auto found = json.find("vision_config");
  return found != json.end() && found->is_object() ? *found : json;
}

}  // namespace

std::string_view to_string(VitKind kind) {
  switch (kind) {
    case VitKind::kVit:
      return "vit";
    case VitKind::kDinov2:
      return "dinov2";
    case VitKind::kSiglip:
      break;
  }
  return "siglip";
}

std::string VitTowerOptions::name() const {
  struct Known {
    std::int64_t width, depth;
    const char* letter;
  };
  std::string size = fmt::format("{}x{}", width, depth);
  for (const Known& known :
       {Known{192, 12, "Ti"}, Known{384, 12, "S"}, Known{768, 12, "B"}, Known{1024, 24, "L"}, Known{1152, 27, "So400m"},
        Known{1280, 32, "H"}, Known{1408, 40, "g"}, Known{1536, 40, "g"}}) {
    if (known.width == width && known.depth == depth) size = known.letter;
  }
  const std::string res = image_res() == 224 ? "" : fmt::format("@{}", image_res());
  return fmt::format("ViT-{}/{}{}", size, patch, res);
}

std::string VitTowerOptions::settings() const {
  constexpr const char* kActivations[] = {"gelu", "gelu_tanh", "quick_gelu"};
  constexpr const char* kPoolings[] = {"class", "class_dense", "tokens", "average", "attention", "projected"};
  return fmt::format("{} heads, {}, eps {}, pooled {}{}{}", heads, kActivations[static_cast<std::size_t>(activation)],
                     eps, kPoolings[static_cast<std::size_t>(pooling)], antialias ? ", positions antialiased" : "",
                     swiglu ? ", gated" : "");
}

VitTowerOptions vit_tower_options(const StateDict& named, VitKind kind, TowerNaming naming, std::string_view where) {
  VitTowerOptions options;
  const at::Tensor& kernel = shaped(named, "patch_embed.proj.weight", 4, where);
  if (kernel.size(1) != 3 || kernel.size(2) != kernel.size(3)) {
    throw DataError(where,
                    fmt::format("'patch_embed.proj.weight' has the shape {}: wanted are square patches of 3 colours",
                                shape_text(kernel.sizes())));
  }
  options.width = kernel.size(0);
  options.patch = kernel.size(2);
  options.patch_bias = named.contains("patch_embed.proj.bias");
  read_grid(options, named, where);
  while (named.contains(fmt::format("blocks.{}.norm1.weight", options.depth))) ++options.depth;
  if (options.depth == 0) throw DataError(where, "has no blocks ('blocks.0.norm1.weight')");
  const std::int64_t into = shaped(named, "blocks.0.mlp.fc1.weight", 2, where).size(0);
  options.inner = shaped(named, "blocks.0.mlp.fc2.weight", 2, where).size(1);
  options.swiglu = kind != VitKind::kSiglip && into == 2 * options.inner;
  options.norm_before = named.contains("norm_pre.weight");
  options.norm_after = named.contains("norm.weight");
  options.fc_norm = named.contains("fc_norm.weight");
  if (!options.norm_after && !options.fc_norm) throw DataError(where, "lacks 'norm.weight', the norm after the blocks");
  options.heads = published_heads(options.width);
  options.pooling = pooling_of(named, kind, naming, options.prefix, options.fc_norm, where);
  if (options.pooling == TowerPooling::kAttention) {
    options.pool_inner = shaped(named, "attn_pool.mlp.fc1.weight", 2, where).size(0);
  }
  if (kind == VitKind::kSiglip) options.activation = TowerActivation::kGeluTanh;
  if (naming == TowerNaming::kHuggingFaceVit) options.eps = 1e-12;
  options.antialias = kind == VitKind::kDinov2 && options.registers > 0;
  return options;
}

bool is_vit_config(std::string_view text, VitKind kind) {
  const Json json = towers::parse_settings(text);
  if (!json.is_object()) return false;
  const auto type = json.find("model_type");
  if (type == json.end() || !type->is_string()) return false;
  const auto name = type->get<std::string>();
  switch (kind) {
    case VitKind::kVit:
      return name == "vit" || name == "deit";
    case VitKind::kDinov2:
      return name == "dinov2" || name == "dinov2_with_registers";
    case VitKind::kSiglip:
      break;
  }
  return name == "siglip" || name == "siglip_vision_model";
}

void apply_vit_config(VitTowerOptions& options, VitKind kind, std::string_view text, std::string_view where) {
  const Json json = towers::parse_object(text, where);
  const Fields fields(vision_part(json), std::string(where));
  fields.expect("hidden_size", options.width);
  fields.expect("num_hidden_layers", options.depth);
  fields.expect("patch_size", options.patch);
  fields.expect("image_size", options.image_res());
  fields.expect("num_channels", 3);
  fields.expect("num_register_tokens", options.registers);
  if (kind != VitKind::kDinov2) fields.expect("intermediate_size", options.inner);
  if (kind == VitKind::kDinov2 && fields.get_or("use_swiglu_ffn", options.swiglu) != options.swiglu) {
    fields.refuse("use_swiglu_ffn", "the weights' shapes say otherwise");
  }
  if (fields.get_or<bool>("vision_use_head", true) == false && kind == VitKind::kSiglip) {
    fields.refuse("vision_use_head", "a SigLIP without its pooling head is not built");
  }
  if (options.pooling == TowerPooling::kClassDense && fields.get_or<std::string>("pooler_act", "tanh") != "tanh") {
    fields.refuse("pooler_act", "built is tanh");
  }
  options.heads = fields.get_or<std::int64_t>("num_attention_heads", 12);  // transformers' default for all of them
  options.eps = fields.get_or("layer_norm_eps", kind == VitKind::kVit ? 1e-12 : 1e-6);
  if (!(options.eps >= 0 && options.eps < 1)) fields.refuse("layer_norm_eps", "wanted is a small number from 0");
  const char* usual = kind == VitKind::kSiglip ? "gelu_pytorch_tanh" : "gelu";
  options.activation = activation_of(fields.get_or<std::string>("hidden_act", usual), fields);
  if (kind == VitKind::kDinov2) {
    options.antialias =
        Fields(json, std::string(where)).get_or<std::string>("model_type", "") == "dinov2_with_registers";
  }
}

void check_vit_tower_options(const VitTowerOptions& options, std::string_view where) {
  if (options.heads > 0 && options.width % options.heads == 0) return;
  throw DataError(
      where,
      options.heads > 0
          ? fmt::format("{} attention heads do not divide the tower's width of {}", options.heads, options.width)
          : fmt::format("the weights do not tell how many attention heads the tower has (64 does not divide "
                        "its width of {})",
                        options.width),
      "Put the model's config.json beside the weights");
}

}  // namespace vicha
