// The vision transformer of timm, DeiT, DINOv2, SigLIP and CLIP: one network whose options say what each has. Inference
// only; no gradient is recorded.
// B pictures of H x W pixels, N = rows x columns patches, L = prefix + registers + N tokens, D width, P of the pooled.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "nn/attention.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/parameters.h"
#include "towers/tower.h"
#include "towers/vit_options.h"

namespace vicha {

/// A pre-norm block; a LayerScale is part of proj and fc2.
struct TowerBlock {
  LayerNorm norm1, norm2;
  Linear qkv, proj;
  Linear fc1;  ///< (F, D), or (2 F, D): gates, then values
  Linear fc2;
};

class VitNet {
 public:
  /// Random weights, or zeros (to be loaded) without a seed. Throws DataError if the sizes do not fit each other.
  explicit VitNet(const VitTowerOptions& options, std::optional<std::uint64_t> seed = std::nullopt);

  /// As ImageTower::encode. Positions for another size than the trained one are interpolated as transformers does it
  /// (bicubic). Only tokens that are read go through the last block.
  TowerFeatures encode(const at::Tensor& pixels, bool patches) const;

  /// Every state, by plain operations and in full.
  struct States {
    std::vector<at::Tensor> hidden;  ///< (B, L, D): before the first block, after it, … after the last
    at::Tensor last;                 ///< (B, L, D): after the final norm
    at::Tensor pooled;               ///< (B, P)
  };
  States states(const at::Tensor& pixels) const;

  const VitTowerOptions& options() const { return options_; }
  const ParameterStore& parameters() const { return *store_; }
  void to(const at::Device& device);
  at::Device device() const { return patch_kernel_.device(); }

 private:
  struct Grid {
    std::int64_t rows, columns;
    std::int64_t patches() const { return rows * columns; }
  };
  struct Encoded {
    at::Tensor pooled, patches;
  };
  Grid grid_of(const at::Tensor& pixels) const;  ///< throws DataError on other shapes than (B, 3, H, W)
  std::int64_t before_patches() const { return options_.prefix + options_.registers; }
  at::Tensor positions(const Grid& grid) const;                               ///< (prefix + N, D)
  at::Tensor stream_start(const at::Tensor& pixels, const Grid& grid) const;  ///< (B, L, D)
  Encoded encode_part(const at::Tensor& pixels, const Grid& grid, bool patches) const;
  at::Tensor pooled_of(const at::Tensor& prefix_BPD) const;  ///< of the class (and distillation) token
  at::Tensor attended_pool(const at::Tensor& patches_BND) const;
  at::Tensor plain_attended_pool(const at::Tensor& patches_BND) const;

  VitTowerOptions options_;
  std::unique_ptr<ParameterStore> store_;
  at::Tensor prefix_tokens_, registers_, positions_;  ///< undefined where there are none
  at::Tensor patch_kernel_, patch_bias_;
  LayerNorm norm_before_, norm_after_, fc_norm_;
  std::vector<TowerBlock> blocks_;
  Linear pooler_;
  at::Tensor projection_;  ///< (E, D)
  at::Tensor probe_;       ///< (1, D)
  TowerBlock pool_;        ///< norm2 is its norm; norm1 is not used

  // Positions of the last other size.
  mutable std::mutex resized_mutex_;
  mutable Grid resized_grid_{0, 0};
  mutable at::Tensor resized_;
};

}  // namespace vicha
