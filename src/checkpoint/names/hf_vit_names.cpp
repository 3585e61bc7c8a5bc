#include "checkpoint/names/hf_vit_names.h"

#include <ATen/Functions.h>

#include "base/error.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

constexpr NameRule kHuggingFaceVit[] = {
    {"vit.**", "**"},
    {"deit.**", "**"},
    {"pooler.**", "", "the pooler"},
    {"classifier.**", "", "the classifier"},
    {"cls_classifier.**", "", "the classifier"},
    {"distillation_classifier.**", "", "the distillation classifier"},
    {"embeddings.mask_token", "", "the mask token"},
    {"embeddings.cls_token", "cls_token"},
    {"embeddings.distillation_token", "dist_token"},
    {"embeddings.position_embeddings", "pos_embed"},
    {"embeddings.patch_embeddings.projection.*", "patch_embed.proj.*"},
    {"encoder.layer.*.attention.attention.**", "blocks.*.attn.**"},
    {"encoder.layer.*.attention.output.dense.*", "blocks.*.attn.proj.*"},
    {"encoder.layer.*.intermediate.dense.*", "blocks.*.mlp.fc1.*"},
    {"encoder.layer.*.output.dense.*", "blocks.*.mlp.fc2.*"},
    {"encoder.layer.*.layernorm_before.*", "blocks.*.norm1.*"},
    {"encoder.layer.*.layernorm_after.*", "blocks.*.norm2.*"},
    {"layernorm.*", "norm.*"},
};

}  // namespace

bool is_hugging_face_vit(const StateDict& tensors) {
  for (const char* prefix : {"", "vit.", "deit."}) {
    if (tensors.contains(std::string(prefix) + "embeddings.patch_embeddings.projection.weight")) return true;
  }
  return false;
}

StateDict hugging_face_vit_to_timm(const StateDict& tensors, std::string_view where, RenameReport* report) {
  const StateDict renamed = rename(tensors, kHuggingFaceVit, where, report);
  StateDict timm;
  for (const auto& [name, tensor] : renamed) {
    std::vector<std::string> parts;
    if (matches("blocks.*.attn.key.*", name, &parts) || matches("blocks.*.attn.value.*", name, &parts)) {
      renamed.at("blocks." + parts[0] + ".attn.query." + parts[1], where);
      continue;
    }
    if (!matches("blocks.*.attn.query.*", name, &parts)) {
      timm.set(name, tensor);
      continue;
    }
    const std::string block = "blocks." + parts[0] + ".attn.";
    const at::Tensor key = renamed.at(block + "key." + parts[1], where),
                     value = renamed.at(block + "value." + parts[1], where);
    if (tensor.dim() == 0 || key.sizes() != tensor.sizes() || value.sizes() != tensor.sizes()) {
      throw DataError(where, in_quotes(name) + " has another shape than its key or value");
    }
    timm.set(block + "qkv." + parts[1], at::cat({tensor, key, value}));
  }
  return timm;
}

}  // namespace vicha
