#include "checkpoint/names/clip_names.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "base/error.h"
#include "checkpoint/names/wrapper.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

constexpr NameRule kConstants[] = {
    {"input_resolution", "", "a size, which the shapes tell"},
    {"context_length", "", "a size, which the shapes tell"},
    {"vocab_size", "", "a size, which the shapes tell"},
    {"attn_mask", "", "constant, not a weight"},
};

constexpr NameRule kCustomText[] = {{"text.**", "**"}};

constexpr NameRule kHuggingFace[] = {
    {"text_model.embeddings.token_embedding.weight", "token_embedding.weight"},
    {"text_model.embeddings.position_embedding.weight", "positional_embedding"},
    {"text_model.encoder.layers.**", "transformer.resblocks.**"},
    {"text_model.final_layer_norm.*", "ln_final.*"},
    {"text_projection.weight", "text_projection"},
    {"vision_model.embeddings.class_embedding", "visual.class_embedding"},
    {"vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight"},
    {"vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"},
    {"vision_model.pre_layrnorm.*", "visual.ln_pre.*"},  // transformers' own spelling
    {"vision_model.encoder.layers.**", "visual.transformer.resblocks.**"},
    {"vision_model.post_layernorm.*", "visual.ln_post.*"},
    {"visual_projection.weight", "visual.proj"},
    {"**.layer_norm1.*", "**.ln_1.*"},
    {"**.layer_norm2.*", "**.ln_2.*"},
    {"**.mlp.fc1.*", "**.mlp.c_fc.*"},
    {"**.mlp.fc2.*", "**.mlp.c_proj.*"},
    {"**.self_attn.out_proj.*", "**.attn.out_proj.*"},
    {"**.self_attn.*_proj.*", "**.attn.in_proj_*.*"},  // in_proj_q.weight: joined below
};

/// `X.attn.in_proj_q.weight`, `…_k.…` and `…_v.…` to `X.attn.in_proj_weight`.
StateDict join_attention(const StateDict& tensors, std::string_view where) {
  StateDict joined;
  for (const auto& [name, tensor] : tensors) {
    std::vector<std::string> parts;
    if (!matches("**.attn.in_proj_*.*", name, &parts)) {
      joined.set(name, tensor);
      continue;
    }
    const std::string whole = parts[0] + ".attn.in_proj_" + parts[2];
    if (joined.contains(whole)) continue;
    std::vector<at::Tensor> three;
    for (const char* part : {"q", "k", "v"}) {
      three.push_back(tensors.find(parts[0] + ".attn.in_proj_" + part + "." + parts[2]));
      if (!three.back().defined()) {
        throw DataError(where, "lacks " + in_quotes(parts[0] + ".self_attn." + part + "_proj." + parts[2]));
      }
    }
    joined.set(whole, at::cat(three));
  }
  return joined;
}

void transpose(StateDict& tensors, const char* name) {
  const at::Tensor matrix = tensors.find(name);
  if (matrix.defined() && matrix.dim() == 2) tensors.set(name, matrix.t().contiguous());
}

bool any_begins(const StateDict& tensors, std::string_view prefix) {
  return std::any_of(tensors.begin(), tensors.end(),
                     [&](const auto& entry) { return std::string_view(entry.first).starts_with(prefix); });
}

/// `tensors` without prefixes.
ClipNaming naming_of(const StateDict& tensors) {
  if (any_begins(tensors, "vision_model.encoder.layers.") && any_begins(tensors, "text_model.encoder.layers.")) {
    return ClipNaming::kHuggingFace;
  }
  if (!any_begins(tensors, "visual.transformer.resblocks.")) return ClipNaming::kUnknown;
  if (any_begins(tensors, "text.transformer.resblocks.")) return ClipNaming::kOpenClipCustomText;
  return any_begins(tensors, "transformer.resblocks.") ? ClipNaming::kOpenAi : ClipNaming::kUnknown;
}

/// What weights that are not a ViT CLIP's seem to be.
std::string likeness(const StateDict& tensors) {
  if (tensors.size() == 0) return "hold no tensors";
  if (any_begins(tensors, "visual.layer1.") || any_begins(tensors, "visual.stem.")) {
    return "are a CLIP whose picture tower is a ResNet";
  }
  if (any_begins(tensors, "visual.trunk.")) return "are an open_clip model with one of timm's picture towers";
  if (any_begins(tensors, "visual.transformer.resblocks.")) {
    return any_begins(tensors, "text.") ? "are an open_clip model with somebody else's text tower"
                                        : "are a CLIP's picture tower alone";
  }
  if (any_begins(tensors, "vision_model.encoder.layers.")) return "are a Hugging Face picture tower alone";
  if (any_begins(tensors, "text_model.encoder.layers.")) return "are a Hugging Face CLIP's text tower alone";
  switch (detect_naming(tensors)) {
    case Naming::kReleased:
      return "are a ViCHA or ALBEF model";
    case Naming::kHuggingFaceBert:
      return "are a Hugging Face BERT";
    case Naming::kTimmVit:
      return "are a timm/DeiT ViT";
    case Naming::kHuggingFaceVit:
      return "are a Hugging Face ViT";
    case Naming::kUnknown:
      break;
  }
  return "are of an unknown model, the first tensor " + in_quotes(tensors.begin()->first);
}

}  // namespace

std::string_view to_string(ClipNaming naming) {
  switch (naming) {
    case ClipNaming::kOpenAi:
      return "OpenAI CLIP";
    case ClipNaming::kOpenClipCustomText:
      return "open_clip CustomTextCLIP";
    case ClipNaming::kHuggingFace:
      return "Hugging Face CLIP";
    case ClipNaming::kUnknown:
      break;
  }
  return "unknown";
}

ClipNaming detect_clip_naming(const StateDict& tensors, std::string_view where) {
  const StateDict bare = rename(tensors, common_rules(), where);
  const ClipNaming found = naming_of(bare);
  const auto prefix = found == ClipNaming::kUnknown ? wrapper_prefix(bare, where) : std::nullopt;
  if (!prefix || prefix->empty()) return found;
  StateDict model;
  for (const auto& [name, tensor] : bare) {
    if (name.starts_with(*prefix)) model.set(name.substr(prefix->size()), tensor);
  }
  return naming_of(model);
}

StateDict to_clip_names(const StateDict& tensors, std::string_view where, RenameReport* report, ClipNaming* naming) {
  StateDict ours = rename(tensors, common_rules(), where, report);
  ClipNaming found = naming_of(ours);
  if (found == ClipNaming::kUnknown && detect_clip_naming(ours, where) != ClipNaming::kUnknown) {
    ours = without_wrapper(ours, where, report);
    found = naming_of(ours);
  }
  if (naming != nullptr) *naming = found;
  switch (found) {
    case ClipNaming::kOpenAi:
      return rename(ours, kConstants, where, report);
    case ClipNaming::kOpenClipCustomText:
      return rename(rename(ours, kCustomText, where), kConstants, where, report);
    case ClipNaming::kHuggingFace:
      ours = join_attention(rename(ours, kHuggingFace, where, report), where);
      transpose(ours, "text_projection");
      transpose(ours, "visual.proj");
      return ours;
    case ClipNaming::kUnknown:
      break;
  }
  std::string remedy =
      "Wanted is a CLIP with a ViT: OpenAI's .pt, a Hugging Face CLIPModel or open_clip weights. README.md says where "
      "to "
      "get them";
  if (detect_naming(ours) == Naming::kReleased) remedy = "A ViCHA checkpoint is given as vicha:CHECKPOINT. " + remedy;
  throw DataError(where, "the weights " + likeness(ours), remedy);
}

}  // namespace vicha
