// Vision transformers from released weights as picture towers: timm, DeiT, AugReg and Hugging Face ViT; DINOv2;
// SigLIP's picture tower; CLIP's (towers/clip_tower_source.h).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "checkpoint/names/tower_names.h"
#include "towers/vit_net.h"

namespace vicha {

class VitTower final : public ImageTower {
 public:
  /// `kind` and `what` (for people) stand in its identity.
  VitTower(std::unique_ptr<VitNet> net, TowerInput input, std::string kind, const std::string& what = "");

  std::int64_t pooled_width() const override { return net_->options().pooled_width(); }
  std::int64_t patch_width() const override { return net_->options().width; }
  std::int64_t batch() const override;
  TowerFeatures encode(const at::Tensor& pixels, bool patches) const override { return net_->encode(pixels, patches); }
  void to(const at::Device& device) override { net_->to(device); }
  at::Device device() const override { return net_->device(); }

  const VitNet& net() const { return *net_; }

 private:
  std::unique_ptr<VitNet> net_;
};

/// A network from tensors under anybody's names (checkpoint/names/tower_names.h), fp16 made fp32, LayerScale folded
/// into the maps before it. `config` is the text of transformers' configuration, or empty. Strict: throws DataError
/// naming `where` and what is missing, left over, of another shape or another kind of model.
std::unique_ptr<VitNet> make_vit_net(const StateDict& tensors, VitKind kind, std::string_view where,
                                     std::string_view config = {}, std::string_view config_where = "config",
                                     RenameReport* report = nullptr);

/// A file or folder of weights with what lies beside it (NAME.config.json or config.json, and likewise
/// preprocessor_config.json). Says by the log what it left out and what it had to assume.
std::unique_ptr<VitTower> load_vit_tower(VitKind kind, const std::filesystem::path& path);

}  // namespace vicha
