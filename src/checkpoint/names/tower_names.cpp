#include "checkpoint/names/tower_names.h"

#include <ATen/Functions.h>
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "checkpoint/names/clip_names.h"
#include "checkpoint/names/hf_vit_names.h"

namespace vicha {
namespace {

constexpr std::string_view kHuggingFaceKernel = "embeddings.patch_embeddings.projection.weight";
constexpr std::string_view kTimmKernel = "patch_embed.proj.weight";
constexpr std::string_view kSiglipKernel = "vision_model.embeddings.patch_embedding.weight";

constexpr NameRule kTimm[] = {
    {"head.**", "", "the classifier"},
    {"head_dist.**", "", "the distillation classifier"},
    {"pre_logits.**", "", "the layer before the classifier"},
    {"mask_token", "", "the mask token"},
    {"reg_token", "register_tokens"},
    {"blocks.*.gamma_*", "blocks.*.ls*.gamma"},  // DeiT III's own files
    {"blocks.*.mlp.w12.*", "blocks.*.mlp.fc1.*"},
    {"blocks.*.mlp.w3.*", "blocks.*.mlp.fc2.*"},
};

// What hf_vit_names does not know of DINOv2.
constexpr NameRule kDinov2[] = {
    {"embeddings.register_tokens", "register_tokens"},
    {"encoder.layer.*.norm*.*", "blocks.*.norm*.*"},
    {"encoder.layer.*.layer_scale*.lambda1", "blocks.*.ls*.gamma"},
    {"encoder.layer.*.mlp.weights_in.*", "blocks.*.mlp.fc1.*"},
    {"encoder.layer.*.mlp.weights_out.*", "blocks.*.mlp.fc2.*"},
    {"encoder.layer.*.mlp.**", "blocks.*.mlp.**"},
};

constexpr NameRule kSiglip[] = {
    {"text_model.**", "", "the text tower"},
    {"logit_*", "", "of the contrast with texts"},
    {"vision_model.**", "**"},
    {"embeddings.patch_embedding.*", "patch_embed.proj.*"},
    {"embeddings.position_embedding.weight", "pos_embed"},
    {"encoder.layers.*.layer_norm*.*", "blocks.*.norm*.*"},
    {"encoder.layers.*.self_attn.out_proj.*", "blocks.*.attn.proj.*"},
    {"encoder.layers.*.self_attn.q_proj.*", "blocks.*.attn.query.*"},
    {"encoder.layers.*.self_attn.k_proj.*", "blocks.*.attn.key.*"},
    {"encoder.layers.*.self_attn.v_proj.*", "blocks.*.attn.value.*"},
    {"encoder.layers.*.mlp.**", "blocks.*.mlp.**"},
    {"post_layernorm.*", "norm.*"},
    {"head.attention.in_proj_*", "attn_pool.qkv.*"},
    {"head.attention.out_proj.*", "attn_pool.proj.*"},
    {"head.layernorm.*", "attn_pool.norm.*"},
    {"head.**", "attn_pool.**"},
};

constexpr NameRule kPooler[] = {{"pooler.dense.*", "pooler.*"}};

bool ends_at_part(std::string_view name, std::string_view end) {
  return name.ends_with(end) && (name.size() == end.size() || name[name.size() - end.size() - 1] == '.');
}

/// What stands before all names of a tower, told by where its first linear map lies; one for each tower.
std::vector<std::string> prefixes(const StateDict& tensors) {
  std::vector<std::string> found;
  for (const auto& [name, tensor] : tensors) {
    for (const std::string_view kernel : {kHuggingFaceKernel, kTimmKernel, kSiglipKernel}) {
      if (ends_at_part(name, kernel)) found.push_back(name.substr(0, name.size() - kernel.size()));
    }
  }
  return found;
}

bool any(const StateDict& tensors, const std::string& prefix, std::string_view pattern) {
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix) && matches(pattern, std::string_view(name).substr(prefix.size()))) return true;
  }
  return false;
}

TowerNaming naming_below(const StateDict& tensors, const std::string& prefix) {
  const auto has = [&](std::string_view name) { return tensors.contains(prefix + std::string(name)); };
  if (has(kSiglipKernel)) {
    return has("vision_model.embeddings.class_embedding") ? TowerNaming::kClip : TowerNaming::kSiglip;
  }
  if (has(kHuggingFaceKernel)) {
    return any(tensors, prefix, "encoder.layer.*.layer_scale1.lambda1") ? TowerNaming::kHuggingFaceDinov2
                                                                        : TowerNaming::kHuggingFaceVit;
  }
  const bool scaled = any(tensors, prefix, "blocks.*.ls1.gamma");
  const bool meta = has("mask_token") || has("register_tokens") || any(tensors, prefix, "blocks.*.mlp.w12.weight");
  return scaled && meta ? TowerNaming::kMetaDinov2 : TowerNaming::kTimm;
}

/// (1, n, D) or (n, D) -> (n, D).
at::Tensor rows_of(const StateDict& tensors, const std::string& name, std::string_view where) {
  const at::Tensor& tensor = tensors.at(name, where);
  const std::int64_t dims = tensor.dim();
  if (dims == 2) return tensor;
  if (dims != 3 || tensor.size(0) != 1) {
    throw DataError(where, fmt::format("'{}' has {} dimensions: wanted is (1, n, width)", name, dims));
  }
  return tensor[0];
}

bool is_square(std::int64_t n) {
  const auto root = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(n))));
  return n > 0 && root * root == n;
}

void tidy_tokens(StateDict& tensors, std::string_view where) {
  std::vector<at::Tensor> prefix;
  for (const char* name : {"cls_token", "dist_token"}) {
    if (!tensors.contains(name)) continue;
    prefix.push_back(rows_of(tensors, name, where).to(at::kFloat));
    if (prefix.front().size(1) != prefix.back().size(1)) {
      throw DataError(where, fmt::format("'{}' has another width than 'cls_token'", name));
    }
    tensors.erase(name);
  }
  std::int64_t count = 0;
  if (!prefix.empty()) {
    const at::Tensor joined = at::cat(prefix);
    count = joined.size(0);
    tensors.set("prefix_tokens", joined);
  }
  for (const char* name : {"register_tokens", "attn_pool.probe"}) {
    if (tensors.contains(name)) tensors.set(name, rows_of(tensors, name, where));
  }
  at::Tensor positions = rows_of(tensors, "pos_embed", where);
  // timm's models with registers have positions for patches alone.
  if (count > 0 && !is_square(positions.size(0) - count) && is_square(positions.size(0))) {
    positions = at::cat({at::zeros({count, positions.size(1)}, positions.options()), positions});
  }
  tensors.set("pos_embed", positions);
}

/// Models without biases of queries, keys and values compute the same with zeros.
void fill_biases(StateDict& tensors) {
  if (any(tensors, "", "blocks.*.attn.qkv.bias")) return;
  std::vector<std::pair<std::string, at::Tensor>> biases;
  for (const auto& [name, tensor] : tensors) {
    std::vector<std::string> block;
    if (!matches("blocks.*.attn.qkv.weight", name, &block) || tensor.dim() != 2) continue;
    biases.emplace_back("blocks." + block[0] + ".attn.qkv.bias", at::zeros({tensor.size(0)}, at::kFloat));
  }
  for (auto& [name, bias] : biases) tensors.set(name, bias);
}

/// hugging_face_vit_to_timm leaves the pooler out, which a tower keeps.
StateDict from_hugging_face(const StateDict& tensors, std::string_view where, RenameReport* report) {
  const StateDict kept = rename(tensors, kPooler, where);
  StateDict rest, pooler;
  for (const auto& [name, tensor] : kept) (name.starts_with("pooler.") ? pooler : rest).set(name, tensor);
  StateDict named = hugging_face_vit_to_timm(rest, where, report);
  for (const auto& [name, tensor] : pooler) named.set(name, tensor);
  return named;
}

}  // namespace

std::string_view to_string(TowerNaming naming) {
  switch (naming) {
    case TowerNaming::kTimm:
      return "a timm/DeiT ViT";
    case TowerNaming::kHuggingFaceVit:
      return "a Hugging Face ViT";
    case TowerNaming::kMetaDinov2:
      return "a DINOv2 under Meta's names";
    case TowerNaming::kHuggingFaceDinov2:
      return "a Hugging Face DINOv2";
    case TowerNaming::kSiglip:
      return "a SigLIP";
    case TowerNaming::kClip:
      return "a CLIP";
    case TowerNaming::kBert:
      return "a Hugging Face BERT";
    case TowerNaming::kReleased:
      return "a ViCHA or ALBEF model";
    case TowerNaming::kUnknown:
      break;
  }
  return "an unknown model";
}

TowerNaming detect_tower_naming(const StateDict& given) {
  const StateDict tensors = rename(given, common_rules(), "weights");
  const Naming whole = detect_naming(tensors);
  if (whole == Naming::kReleased) return TowerNaming::kReleased;
  if (whole == Naming::kHuggingFaceBert) return TowerNaming::kBert;
  if (detect_clip_naming(tensors) != ClipNaming::kUnknown && any(tensors, "", "**.class_embedding")) {
    return TowerNaming::kClip;
  }
  const std::vector<std::string> found = prefixes(tensors);
  if (!found.empty()) return naming_below(tensors, found.front());
  return any(tensors, "", "visual.transformer.**") ? TowerNaming::kClip : TowerNaming::kUnknown;
}

std::string tower_likeness(const StateDict& tensors) {
  if (tensors.size() == 0) return "hold no tensors";
  const TowerNaming naming = detect_tower_naming(tensors);
  if (naming != TowerNaming::kUnknown) return fmt::format("are {}", to_string(naming));
  return fmt::format("are of an unknown model, the first tensor '{}'", tensors.begin()->first);
}

StateDict to_tower_names(const StateDict& given, std::string_view where, RenameReport* report) {
  const StateDict tensors = rename(given, common_rules(), where, report);
  const std::vector<std::string> found = prefixes(tensors);
  const TowerNaming naming = detect_tower_naming(tensors);
  if (found.empty() || naming == TowerNaming::kClip || naming == TowerNaming::kReleased) {
    throw DataError(where, "the weights " + tower_likeness(tensors) + ", which is not a picture tower of this kind");
  }
  if (found.size() > 1) {
    throw DataError(where, fmt::format("holds two picture towers, '{}…' and '{}…'", found[0], found[1]),
                    "Save the one that is meant to a file of its own");
  }
  StateDict bare;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(found[0])) {
      bare.set(name.substr(found[0].size()), tensor);
    } else if (report != nullptr) {
      report->dropped.push_back({name, "no part of the picture tower"});
    }
  }
  switch (naming) {
    case TowerNaming::kSiglip:
      bare = from_hugging_face(rename(bare, kSiglip, where, report), where, report);
      break;
    case TowerNaming::kHuggingFaceDinov2:
      bare = from_hugging_face(rename(bare, kDinov2, where, report), where, report);
      break;
    case TowerNaming::kHuggingFaceVit:
      bare = from_hugging_face(bare, where, report);
      break;
    default:
      bare = rename(bare, kTimm, where, report);
  }
  tidy_tokens(bare, where);
  fill_biases(bare);
  return bare;
}

}  // namespace vicha
