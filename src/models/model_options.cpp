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
}

}  // namespace vicha
