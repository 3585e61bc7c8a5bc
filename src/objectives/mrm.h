// Masked region modelling (method, section 4, MRM): what a hidden region looks like, told by the rest of the picture,
// its tags and the caption. B pictures of R regions, M hidden regions, F numbers of a region's target.
#pragma once

#include "objectives/objective.h"

namespace vicha {

enum class MrmTarget {
  kFeature,  ///< the concept source's feature of the region, length 1
  kPixels    ///< the region at 16 x 16 pixels, normalised by its own mean and variance
};

struct MrmOptions : ObjectiveOptions {
  MrmTarget target = MrmTarget::kFeature;

  MrmOptions() { enabled = false; }
  void describe(Visitor& v);
  void check(const ModelOptions& model) const override;
  std::string note() const override { return target == MrmTarget::kPixels ? "pixels" : ""; }
};

/// Throws UsageError where nothing says how many numbers a region's feature has: no source of them
/// (model.regions.feature_width), and no stored features that the model itself reads.
void require_region_features(const ModelOptions& model);

/// Side of a region of pixels as it is predicted.
inline constexpr std::int64_t kRegionPixels = 16;

/// Mean over the regions of the squared distance to their feature: prediction and target (M, F), the target's rows of
/// length 1, or zeros where a region has no feature (the picture ends before it): it does not count then. 0 for none.
at::Tensor region_feature_loss(const at::Tensor& prediction_MF, const at::Tensor& target_MF);
/// Mean squared error over the numbers, target as region_pixels gives them. 0 for no rows.
at::Tensor region_pixel_loss(const at::Tensor& prediction_MF, const at::Tensor& target_MF);

/// Pictures (B, 3, H, W) -> their regions (B, R, 3 * 16 * 16): each pixel the mean of the area that it stands for; each
/// region less its mean, over its deviation (a region of one colour: zeros).
at::Tensor region_pixels(const at::Tensor& pictures, std::int64_t rows, std::int64_t columns);

/// "mrm". Registers "mrm_head.fc1" and "mrm_head.fc2", and the mask token (objectives/masked_pass.h). The feature is
/// that of RegionTargets, model.regions.feature_width numbers; where that is 0 and the model reads stored features of
/// patches, the mean of these over the region.
ObjectiveKind mrm_kind();

}  // namespace vicha
