#include "objectives/mrm.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "models/regions.h"
#include "nn/gelu.h"
#include "nn/host_copy.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/vit_block.h"
#include "objectives/masked_pass.h"

namespace vicha {

void MrmOptions::describe(Visitor& v) {
  ObjectiveOptions::describe(v);
  v.choice({"target", "",
            "What is told of a hidden region: feature, the concept source's vector of it (data.regions; of a model "
            "that reads stored features and names no source: the mean of its patches); pixels: it at 16 x 16 pixels"},
           target, {{"feature", MrmTarget::kFeature}, {"pixels", MrmTarget::kPixels}});
}

void MrmOptions::check(const ModelOptions& model) const {
  require_hidden_regions(model, "mrm");
  if (target == MrmTarget::kPixels && model.vit.reads_features()) {
    throw UsageError(
        "mrm.target = pixels needs pictures, and with model.image.input = features there are none; set mrm.target = "
        "feature");
  }
}

void require_region_features(const ModelOptions& model) {
  if (model.regions.feature_width > 0 || model.vit.reads_features()) return;
  throw UsageError(
      "mrm.target = feature: nothing says how many numbers the feature of a region has; name a store of them "
      "(data.regions.store) or what makes them (data.regions.source), or set mrm.target = pixels");
}

at::Tensor region_feature_loss(const at::Tensor& prediction_MF, const at::Tensor& target_MF) {
  if (prediction_MF.size(0) == 0) return prediction_MF.sum() * 0.0;
  const at::Tensor distance_M = (prediction_MF - target_MF).square().sum(1);
  const at::Tensor counts_M = target_MF.square().sum(1).gt(0).to(distance_M.scalar_type());
  return (distance_M * counts_M).sum() / counts_M.sum().clamp_min(1.0);
}

at::Tensor region_pixel_loss(const at::Tensor& prediction_MF, const at::Tensor& target_MF) {
  if (prediction_MF.size(0) == 0) return prediction_MF.sum() * 0.0;
  return at::mse_loss(prediction_MF, target_MF);
}

namespace {

/// Means over `cells` equal parts of a side of `length` pixels: (cells, length), rows sum to 1.
at::Tensor side_means(std::int64_t cells, std::int64_t length) {
  at::Tensor weights = at::zeros({cells, length});
  float* out = weights.data_ptr<float>();
  for (std::int64_t cell = 0; cell < cells; ++cell) {
    // In units of which a pixel has `cells`, and a part `length`.
    const std::int64_t begin = cell * length, end = begin + length;
    for (std::int64_t pixel = begin / cells; pixel * cells < end; ++pixel) {
      const std::int64_t shared = std::min(end, (pixel + 1) * cells) - std::max(begin, pixel * cells);
      out[cell * length + pixel] = static_cast<float>(shared) / static_cast<float>(length);
    }
  }
  return weights;
}

}  // namespace

at::Tensor region_pixels(const at::Tensor& pictures, std::int64_t rows, std::int64_t columns) {
  const at::Tensor image = pictures.to(at::kFloat);
  const at::Device device = image.device();
  const at::Tensor down = to_device(side_means(rows * kRegionPixels, image.size(2)), device);
  const at::Tensor across = to_device(side_means(columns * kRegionPixels, image.size(3)), device);
  const at::Tensor small = at::matmul(at::matmul(down, image), across.t());
  const at::Tensor regions = small.view({image.size(0), image.size(1), rows, kRegionPixels, columns, kRegionPixels})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({image.size(0), rows * columns, -1});
  const at::Tensor centred = regions - regions.mean(2, true);
  return centred / (centred.square().mean(2, true) + 1e-6).sqrt();
}

namespace {

class MrmObjective : public Objective {
 public:
  MrmObjective(const MrmOptions& options, Vicha& model) : options_(options), mask_token_(region_mask_token(model)) {
    const ModelOptions& sizes = model.options();
    from_source_ = sizes.regions.feature_width > 0;
    std::int64_t numbers = 3 * kRegionPixels * kRegionPixels;
    if (options.target == MrmTarget::kFeature) {
      require_region_features(sizes);
      numbers = from_source_ ? sizes.regions.feature_width : sizes.vit.picture.width;
    }
    ParameterStore& store = model.parameters();
    const ParameterStore::Scope fusion_heads(store, "fusion_heads"), scope(store, "mrm_head");
    const std::int64_t width = sizes.text.width;
    fc1_ = add_linear(store, "mrm_head.fc1.", width, width, Init::kLinearDefault);
    fc2_ = add_linear(store, "mrm_head.fc2.", width, numbers, Init::kLinearDefault);
  }
  const ObjectiveOptions& options() const override { return options_; }
  bool trains_fusion() const override { return true; }
  std::string_view heads() const override { return "mrm_head"; }
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override;

  MrmTarget target() const { return options_.target; }
  bool from_source() const { return from_source_; }
  const at::Tensor& mask_token() const { return mask_token_; }
  at::Tensor predict(const at::Tensor& rows_MD) const {
    return fc2_(bias_gelu(matmul_nt(rows_MD, fc1_.weight), fc1_.bias));
  }

 private:
  MrmOptions options_;
  at::Tensor mask_token_;
  bool from_source_ = false;
  Linear fc1_, fc2_;
};

class MrmStep : public ObjectiveStep {
 public:
  MrmStep(const MrmObjective& objective, Encodings& encodings) : objective_(objective), encodings_(encodings) {}

  void join_image(const at::Tensor& patches_BND, JoinedRows& pass) override {
    encodings_.masked().join_image(patches_BND, pass, objective_.mask_token());
  }
  void join_fusion(FusionPass& pass) override { encodings_.masked().join_fusion(pass); }

  at::Tensor loss() override {
    const Batch& batch = encodings_.batch();
    const at::Tensor prediction = objective_.predict(encodings_.masked().rows()).to(at::kFloat);
    const at::Device device = prediction.device();
    const at::Tensor which = row_indices(batch.get<MaskedRegions>().regions, device);
    const auto at_masked = [&](const at::Tensor& all_BRF) {
      return all_BRF.to(device).flatten(0, 1).index_select(0, which);
    };
    const RegionOptions& grid = encodings_.model().options().regions;
    if (objective_.target() == MrmTarget::kPixels) {
      return region_pixel_loss(prediction, at_masked(region_pixels(batch.image.to(device), grid.rows, grid.columns)));
    }
    if (objective_.from_source()) {
      return region_feature_loss(prediction, at_masked(batch.get<RegionTargets>().features));
    }
    const at::Tensor weights = to_device(region_weights(encodings_.model().options()), device);
    const at::Tensor pooled = at_masked(at::matmul(weights, batch.image.to(device).to(at::kFloat)));
    return region_feature_loss(prediction, unit_rows(pooled));
  }

 private:
  const MrmObjective& objective_;
  Encodings& encodings_;
};

std::unique_ptr<ObjectiveStep> MrmObjective::begin(Encodings& encodings, const Distillation&) const {
  return std::make_unique<MrmStep>(*this, encodings);
}

}  // namespace

ObjectiveKind mrm_kind() {
  return {.key = "mrm",
          .title = "Masked region modelling",
          .name = "MRM",
          .curve = "MRM: masked regions",
          .measure = "squared error",
          .checkpoint_names = {"mrm_head.**", "region_mask_token"},
          .options = MrmOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<MrmObjective>(dynamic_cast<const MrmOptions&>(options), model);
          }};
}

}  // namespace vicha
