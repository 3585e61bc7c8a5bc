#include "models/model_options.h"

#include <fmt/format.h>

#include "base/error.h"

namespace vicha {
namespace {

void divides(std::int64_t heads, std::int64_t width, std::string_view where) {
  if (width % heads != 0) {
    throw UsageError(
        fmt::format("model.{}.heads = {} does not divide model.{}.width = {}", where, heads, where, width));
  }
}

}  // namespace

void ModelOptions::check() const {
  divides(vit.heads, vit.width, "vit");
  divides(text.heads, text.width, "text");
  if (vit.image_res < vit.patch) {
    throw UsageError(
        fmt::format("model.vit.image_res = {} is smaller than model.vit.patch = {}", vit.image_res, vit.patch));
  }
  if (hierarchical_levels > text.text_layers || hierarchical_levels >= vit.depth) {
    throw UsageError(fmt::format(
        "hitc.levels = {} needs at least as many text layers (model.text.text_layers = {}) and more image blocks "
        "(model.vit.depth = {})",
        hierarchical_levels, text.text_layers, vit.depth));
  }
  if (mae == MaeVariant::kNone) return;
  if (vit.image_res % vit.patch != 0) {
    throw UsageError(
        fmt::format("masked image modelling needs model.vit.image_res = {} divisible by model.vit.patch = {}",
                    vit.image_res, vit.patch));
  }
  divides(mae_decoder.heads, mae_decoder.width, "mae_decoder");
  if (mae_decoder.width % 4 != 0) {
    throw UsageError(fmt::format("model.mae_decoder.width = {} is not divisible by 4", mae_decoder.width));
  }
  if (mae != MaeVariant::kUnimodal && vit.width != text.width) {
    throw UsageError(
        fmt::format("mae.variant with a cross-modal part sends image tokens through the fusion layers, which "
                    "needs model.vit.width = {} equal to model.text.width = {}; use mae.variant = \"unimodal\"",
                    vit.width, text.width));
  }
}

}  // namespace vicha
