// The pass of masked region modelling (mrm) and masked tag modelling (mtm), which share it: the pictures once more,
// with some regions hidden, each through the joint fusion layers with its own caption, read at the hidden regions. B
// pictures of N patches and R regions, M hidden regions, D widths.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "objectives/encodings.h"

namespace vicha {

/// Regions to hide, as MaskedRegions has them: in each of B pictures round(share * R) of them, at least one, every
/// choice of so many equally likely.
std::vector<std::int64_t> draw_masked_regions(std::int64_t batch, std::int64_t regions, double share, Rng& rng);

/// Patches (B, N) bool that touch one of the hidden regions: nothing of a region's pixels enters by a patch on its
/// border. `touching`: of each region (region_patches).
at::Tensor hidden_patches(const std::vector<std::int64_t>& regions, std::int64_t batch,
                          const std::vector<std::vector<std::int64_t>>& touching, std::int64_t patches);

/// Throws UsageError naming `key`, an objective's section, and what to set, if the model has no hidden regions to read:
/// with cross fusion nothing of a picture comes out, and crops show a region's neighbours.
void require_hidden_regions(const ModelOptions& model, std::string_view key);

/// What stands for a hidden patch (1, 1, D_image), learned: "region_mask_token" in the scope "region_mask", registered
/// for the first who asks.
at::Tensor region_mask_token(Vicha& model);

/// Needs MaskedRegions in the batch. Runs with the step's other sequences, whoever of several guests joins it first.
class MaskedPass {
 public:
  explicit MaskedPass(Encodings& encodings) : encodings_(encodings) {}

  void join_image(const at::Tensor& patches_BND, JoinedRows& pass, const at::Tensor& mask_token_11D);
  void join_fusion(FusionPass& pass);
  /// Fused states at the hidden regions (M, D_text), in the order of MaskedRegions::regions.
  const at::Tensor& rows();

 private:
  Encodings& encodings_;
  bool in_image_ = false, in_fusion_ = false;
  ImageStates image_;  ///< of the hidden pictures; without states until the shared pass has run
  JoinedRows::Part image_part_ = 0;
  FusionPass::Part fusion_part_ = 0;
  at::Tensor rows_;
};

}  // namespace vicha
