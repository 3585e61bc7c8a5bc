// Regions: the cells of a grid over a picture (model.regions; method, section 4), row by row, and what a batch says of
// them.
// B pictures of S tokens, N patches, R regions, D width, F numbers of a region's feature, r side of a crop.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/batch.h"
#include "models/model_options.h"

namespace vicha {

/// Of each region, the share of every patch in it by area: (R, N) fp32 on the CPU, each row sums to 1.
at::Tensor region_weights(const ModelOptions& options);

/// States of pictures (B * S, D), `tokens` S each (class token, patches, concepts) -> their regions (B, R, D).
at::Tensor pool_regions(const at::Tensor& image_SD, std::int64_t tokens, const at::Tensor& weights_RN);

/// Regions cut out of pictures and resized: (B, 3, H, W) -> (B, R, 3, r, r).
at::Tensor cut_regions(const at::Tensor& pictures_B3HW, const RegionOptions& regions);

/// Of each region, the patches that touch it, ascending.
std::vector<std::vector<std::int64_t>> region_patches(const ModelOptions& options);

/// What the concept source says of the regions of a batch's pictures.
struct RegionTargets : BatchTargets {
  at::Tensor tags;       ///< (B, R) int64, index into the vocabulary of tags; -1: none
  at::Tensor features;   ///< (B, R, F) fp32, rows of length 1; undefined where nobody reads them
  at::Tensor crops;      ///< (B, R, 3, r, r) fp32, as Batch::image; undefined unless model.regions.encode = crops
  Tokens crop_concepts;  ///< of B * R crops, each one's own tag; undefined without crops, or where none are read

  void for_each_tensor(const TensorVisit& visit) override;
};

/// Regions that are hidden from the image encoder.
struct MaskedRegions : BatchTargets {
  std::vector<std::int64_t> regions;  ///< numbers among the B * R regions, ascending, at least one of each picture
  at::Tensor hidden;                  ///< (B, N) bool: patches that touch one of them
  Tokens concepts;  ///< as Batch::concepts, without the tags of these regions; undefined where the model has none

  void for_each_tensor(const TensorVisit& visit) override;
};

}  // namespace vicha
