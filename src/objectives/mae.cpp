#include "objectives/mae.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "nn/host_copy.h"

namespace vicha {

at::Tensor mae_loss(const at::Tensor& prediction, const at::Tensor& target_BNP, const at::Tensor& order_BN) {
  if (prediction.size(0) == 0) return prediction.sum() * 0.0;
  const std::int64_t batch = order_BN.size(0), pixels = target_BNP.size(2), hidden = prediction.size(0) / batch;
  const at::Tensor index = order_BN.slice(1, order_BN.size(1) - hidden).unsqueeze(-1).expand({-1, -1, pixels});
  return at::mse_loss(prediction, target_BNP.gather(1, index).view({-1, pixels}));
}

void MaeOptions::describe(Visitor& v) {
  ObjectiveOptions::describe(v);
  v.field({"mask_ratio", "", "Share of the patches that are hidden", 0, 1}, mask_ratio);
  v.choice({"variant", "", "Who reconstructs: a decoder, the fusion layers, or both"}, variant, kMaeVariantNames);
  v.section("decoder", "Decoder of masked image modelling", decoder);
}

std::string MaeOptions::note() const { return fmt::format("{:.0f} % hidden", mask_ratio * 100); }

void MaeOptions::check(const ModelOptions& model) const {
  if (model.vit.reads_features() && model.vit.picture.width == 1) {
    throw UsageError(
        "masked image modelling normalises each patch's features, which needs more than the one number of "
        "model.image.width = 1");
  }
  if (!model.vit.reads_features() && model.vit.image_res % model.vit.patch != 0) {
    throw UsageError(
        fmt::format("masked image modelling needs model.vit.image_res = {} divisible by model.vit.patch = {}",
                    model.vit.image_res, model.vit.patch));
  }
  if (decoder.width % decoder.heads != 0) {
    throw UsageError(
        fmt::format("mae.decoder.heads = {} does not divide mae.decoder.width = {}", decoder.heads, decoder.width));
  }
  if (decoder.width % 4 != 0) {
    throw UsageError(fmt::format("mae.decoder.width = {} is not divisible by 4", decoder.width));
  }
  if (variant != MaeVariant::kUnimodal && model.fusion.joint()) {
    throw UsageError(
        fmt::format("mae.variant = \"{}\" rebuilds patches by the fusion layers' cross-attention to the caption, and "
                    "model.fusion.kind = \"joint\" has no cross-attention; use mae.variant = \"unimodal\"",
                    name_of(kMaeVariantNames, variant)));
  }
  if (variant != MaeVariant::kUnimodal && model.vit.width != model.text.width) {
    throw UsageError(
        fmt::format("mae.variant with a cross-modal part sends image tokens through the fusion layers, which "
                    "needs model.vit.width = {} equal to model.text.width = {}; use mae.variant = \"unimodal\"",
                    model.vit.width, model.text.width));
  }
}

namespace {

MaeDecoder add_decoder(const MaeOptions& options, Vicha& model) {
  const ParameterStore::Scope scope(model.parameters(), "mae_decoder");
  return MaeDecoder(model.parameters(), model.options().vit, options.decoder, options.variant);
}

}  // namespace

MaeObjective::MaeObjective(const MaeOptions& options, Vicha& model)
    : options_(options), decoder_(add_decoder(options, model)) {}

std::unique_ptr<ObjectiveStep> MaeObjective::begin(Encodings& encodings, const Distillation&) const {
  return std::make_unique<MaeStep>(*this, encodings);
}

void MaeStep::join_image(const at::Tensor& patches_BND, JoinedRows& pass) {
  const Vit& vit = encodings_.model().online().vit;
  const std::int64_t batch = patches_BND.size(0), patches = patches_BND.size(1), width = patches_BND.size(2);
  patch_order_ = to_device(encodings_.draws().patch_order(batch, patches), patches_BND.device());
  visible_ = static_cast<std::int64_t>(static_cast<double>(patches) * (1.0 - objective_.mae_options().mask_ratio));
  const at::Tensor kept = patch_order_.slice(1, 0, visible_).unsqueeze(-1).expand({-1, -1, width});
  const at::Tensor seen = vit.assemble_visible(patches_BND.gather(1, kept));
  part_ = pass.add(seen.view({-1, width}), Segments::uniform(batch, visible_ + 1));
}

const at::Tensor& MaeStep::patch_order() {
  encodings_.image();
  return patch_order_;
}

at::Tensor MaeStep::latent() {
  const at::Tensor& rows = encodings_.image_rows(part_);
  return rows.reshape({encodings_.size(), visible_ + 1, rows.size(1)});
}

at::Tensor MaeStep::unimodal() { return objective_.decoder().unimodal(latent(), patch_order()); }

at::Tensor MaeStep::cross_modal() {
  const at::Tensor &order = patch_order(), states = latent();
  const TextStates& text = encodings_.text();
  const std::int64_t batch = encodings_.size(), count = order.size(1);
  const at::Tensor stream = objective_.decoder().cross_modal_stream(states, order);
  // The image is the stream and attends to the unmasked caption, but not to its padding.
  auto cross = std::make_shared<Segments>();
  for (std::int64_t i = 0; i < batch; ++i) {
    const auto at = static_cast<std::size_t>(i);
    cross->list.push_back({i * (count + 1), count + 1, text.pack.begin[at], text.pack.lengths[at]});
  }
  cross->q_rows = batch * (count + 1);
  cross->k_rows = text.pack.rows();
  const Bert::Fusion fusion{Segments::uniform(batch, count + 1), {cross}, {}, {}, {}};
  const Bert& bert = encodings_.model().online().text;
  const at::Tensor fused =
      bert.fuse(stream.view({-1, stream.size(2)}), bert.image_kv(text.states), fusion, encodings_.dropout());
  const at::Tensor first = (at::arange(batch, order.options()) * (count + 1) + 1).unsqueeze(1);
  const at::Tensor hidden = fused.index_select(0, (order.slice(1, visible_) + first).reshape({-1}));
  return objective_.decoder().cross_modal_head(hidden);
}

at::Tensor MaeStep::loss() {
  const at::Tensor& order = patch_order();
  if (visible_ == order.size(1)) return encodings_.nothing();
  const Vicha& model = encodings_.model();
  const at::Tensor target = mae_target(encodings_.batch().image.to(model.device()), model.options().vit);
  const MaeVariant kind = objective_.mae_options().variant;
  at::Tensor by_decoder, by_fusion;
  if (kind != MaeVariant::kCrossModal) by_decoder = mae_loss(unimodal(), target, order);
  if (kind != MaeVariant::kUnimodal) by_fusion = mae_loss(cross_modal(), target, order);
  if (!by_fusion.defined()) return by_decoder;
  return by_decoder.defined() ? (by_decoder + by_fusion) / 2 : by_fusion;
}

ObjectiveKind mae_kind() {
  return {.key = "mae",
          .title = "Masked image modelling",
          .name = "MAE",
          .curve = "MAE: masked patches",
          .measure = "squared error",
          .checkpoint_names = {"decoder_*", "decoder_*.**", "mask_token", "mae_proj.**", "mae_proj_uni.**"},
          .options = MaeOptions(),
          .make = [](const ObjectiveOptions& options, Vicha& model) {
            return std::make_unique<MaeObjective>(dynamic_cast<const MaeOptions&>(options), model);
          }};
}

}  // namespace vicha
