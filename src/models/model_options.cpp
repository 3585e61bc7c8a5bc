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
  if (!vit.reads_features() && vit.image_res < vit.patch) {
    throw UsageError(
        fmt::format("model.vit.image_res = {} is smaller than model.vit.patch = {}", vit.image_res, vit.patch));
  }
  if (fusion.joint() && text.fusion_layers == 0) {
    throw UsageError(
        "model.fusion.kind = \"joint\" is a decoder over pictures and words, and model.text.fusion_layers = 0 leaves "
        "it "
        "no layer; set model.text.fusion_layers (the method's decoder: 12), or model.fusion.kind = \"cross\"");
  }
  if (heads.enabled && !vit.reads_features()) {
    throw UsageError(
        "model.heads.enabled: the image head reads the mean of the features that a tower made of a picture's patches, "
        "and with model.image.input = \"pixels\" there are none; set model.image.input = \"features\", or "
        "model.heads.enabled = false");
  }
  if (heads.concept_weight > 0 && !(heads.enabled && concepts.enabled)) {
    throw UsageError(
        fmt::format("model.heads.concept_weight = {} is the weight of concepts that aligned heads read, and {} is "
                    "false; set model.heads.enabled = true and model.concepts.enabled = true, or the weight to 0",
                    heads.concept_weight, heads.enabled ? "model.concepts.enabled" : "model.heads.enabled"));
  }
  if (!regions.crops()) return;
  if (vit.reads_features()) {
    throw UsageError(
        "model.regions.encode = \"crops\" cuts regions out of pictures, and with model.image.input = \"features\" the "
        "model sees none; use model.regions.encode = \"pooled\"");
  }
  if (regions.region_size % vit.patch != 0) {
    throw UsageError(fmt::format("model.regions.region_size = {} is not a multiple of model.vit.patch = {}",
                                 regions.region_size, vit.patch));
  }
}

void require_one_image(const ModelOptions& options, std::string_view what) {
  if (options.fusion.images == 1) return;
  throw UsageError(
      fmt::format("the model reads {} pictures with a text (model.fusion.images), and {} has one: take a model with "
                  "model.fusion.images = 1, such as the one that this one was started from",
                  options.fusion.images, what));
}

}  // namespace vicha
