// A tiny model with joint fusion and a batch with regions and tags for it.
#pragma once

#include "models/regions.h"
#include "objectives/ira.h"
#include "objectives/irta.h"
#include "objectives/ita.h"
#include "objectives/masked_pass.h"
#include "objectives/mrm.h"
#include "objectives/mtm.h"
#include "objectives/step_test.h"

namespace vicha {

/// 4 x 4 patches of 8 pixels, 2 x 2 regions, 7 tags, features of 6 numbers.
inline ModelOptions region_model() {
  ModelOptions m = tiny();
  m.fusion.kind = FusionKind::kJoint;
  m.regions.rows = m.regions.columns = 2;
  m.regions.tags = 7;
  m.regions.feature_width = 6;
  return m;
}

inline ObjectivesOptions region_recipe() {
  ObjectivesOptions o = recipe();
  o.enable_only({"ita", "irta", "ira", "mrm", "mtm"});
  return o;
}

/// `batch` with tags and features of regions, two regions of each picture hidden.
inline Batch region_batch(const ModelOptions& options, std::uint64_t seed) {
  Batch b = batch(seed);
  Rng rng(seed + 1);
  const std::int64_t regions = options.regions.count();
  RegionTargets targets;
  targets.tags = at::full({4, regions}, -1, at::kLong);
  for (std::int64_t i = 0; i < 4 * regions; ++i) {
    if (i % 5 != 4) targets.tags.view({-1})[i] = static_cast<std::int64_t>(rng.below(7));
  }
  const at::Tensor features = at::randn({4, regions, 6});
  targets.features = features / features.square().sum(2, true).sqrt();
  const DistinctTags found = distinct_tags(targets.tags);
  TaggedRegions tagged;
  tagged.regions = found.regions;
  tagged.tag = at::tensor(found.tag_of_region);
  std::vector<std::int64_t> lengths;
  for (const std::int64_t tag : found.tags) lengths.push_back(2 + tag % 2);
  tagged.tags = tokens(lengths, rng);
  MaskedRegions masked;
  masked.regions = draw_masked_regions(4, regions, 2.0 / static_cast<double>(regions), rng);
  masked.hidden = hidden_patches(masked.regions, 4, region_patches(options), options.vit.patches());
  if (options.concepts.enabled) masked.concepts = tokens({3, 2, 4, 1}, rng);
  if (!options.concepts.enabled) b.concepts = {};
  b.add(std::move(targets));
  b.add(std::move(tagged));
  b.add(std::move(masked));
  return b;
}

/// Paints over regions of a batch's pictures.
class RegionBatch {
 public:
  RegionBatch(const Batch& b, const ModelOptions& options)
      : hidden_(b.get<MaskedRegions>()),
        grid_(options.regions),
        side_(options.vit.image_res),
        patch_(options.vit.patch) {}

  /// All pixels of the hidden regions of a picture.
  void paint_hidden(Batch& b, std::int64_t picture) const {
    for (const std::int64_t region : hidden_.regions) {
      if (region / grid_.count() != picture) continue;
      const std::int64_t row = region % grid_.count() / grid_.columns, column = region % grid_.columns;
      const auto edge = [&](std::int64_t cell, std::int64_t cells) { return cell * side_ / cells; };
      b.image[picture]
          .slice(1, edge(row, grid_.rows), edge(row + 1, grid_.rows))
          .slice(2, edge(column, grid_.columns), edge(column + 1, grid_.columns))
          .fill_(7.0);
    }
  }
  /// One pixel that is not hidden.
  void paint_seen(Batch& b, std::int64_t picture) const {
    const at::Tensor seen = hidden_.hidden[picture].logical_not().nonzero();
    const auto patch = seen[0][0].item<std::int64_t>(), columns = side_ / patch_;
    b.image[picture].select(1, patch / columns * patch_).select(1, patch % columns * patch_).add_(0.5);
  }

 private:
  const MaskedRegions& hidden_;
  RegionOptions grid_;
  std::int64_t side_, patch_;
};

}  // namespace vicha
