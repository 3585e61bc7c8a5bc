#include "models/clip_options.h"

#include <fmt/ranges.h>

#include <cmath>

#include "base/error.h"
#include "models/named_weights.h"

namespace vicha {
namespace {

ClipTowerOptions tower(const StateDict& named, const std::string& prefix, std::int64_t width, std::string_view where) {
  ClipTowerOptions options;
  options.width = width;
  while (named.contains(fmt::format("{}resblocks.{}.ln_1.weight", prefix, options.depth))) ++options.depth;
  if (options.depth == 0) throw DataError(where, fmt::format("has no layers '{}resblocks.N'", prefix));
  options.inner = shaped(named, prefix + "resblocks.0.mlp.c_fc.weight", 2, where).size(0);
  options.heads = width % 64 == 0 ? width / 64 : 0;
  return options;
}

std::int64_t parameters_of(const ClipTowerOptions& o) {
  return o.depth * (4 * o.width * o.width + 2 * o.width * o.inner + 9 * o.width + o.inner);
}

}  // namespace

std::int64_t ClipOptions::parameters() const {
  const std::int64_t v = vision.width, t = text.width;
  return parameters_of(vision) + parameters_of(text) + v * (3 * patch * patch + 1 + tokens() + 4 + embed) +
         t * (vocabulary + context + 2 + embed) + 1;
}

std::string ClipOptions::name() const {
  struct Known {
    std::int64_t width, depth;
    const char* letter;
  };
  std::string size = fmt::format("{}x{}", vision.width, vision.depth);
  for (const Known& known : {Known{384, 12, "S"}, Known{768, 12, "B"}, Known{1024, 24, "L"}, Known{1280, 32, "H"},
                             Known{1408, 40, "g"}, Known{1664, 48, "bigG"}}) {
    if (known.width == vision.width && known.depth == vision.depth) size = known.letter;
  }
  const std::string res = image_res == 224 ? "" : fmt::format("@{}", image_res);
  return fmt::format("ViT-{}/{}{}", size, patch, res);
}

ClipOptions clip_options(const StateDict& named, std::string_view where) {
  ClipOptions options;
  const at::Tensor& kernel = shaped(named, "visual.conv1.weight", 4, where);
  if (kernel.size(1) != 3 || kernel.size(2) != kernel.size(3)) {
    throw DataError(where, fmt::format("'visual.conv1.weight' has the shape {}: wanted are square patches of 3 colours",
                                       shape_text(kernel.sizes())));
  }
  options.patch = kernel.size(2);
  options.vision = tower(named, "visual.transformer.", kernel.size(0), where);
  const std::int64_t patches = shaped(named, "visual.positional_embedding", 2, where).size(0) - 1;
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(patches))));
  if (side < 1 || side * side != patches) {
    throw DataError(where,
                    fmt::format("'visual.positional_embedding' has {} rows, which is not a class token and a square "
                                "of patches",
                                patches + 1));
  }
  options.image_res = side * options.patch;
  options.embed = shaped(named, "visual.proj", 2, where).size(1);
  const at::Tensor& words = shaped(named, "token_embedding.weight", 2, where);
  options.vocabulary = words.size(0);
  options.text = tower(named, "transformer.", words.size(1), where);
  options.context = shaped(named, "positional_embedding", 2, where).size(0);
  return options;
}

void check_clip_options(const ClipOptions& options, std::string_view where) {
  for (const auto& [tower, name] : {std::pair{&options.vision, "picture"}, std::pair{&options.text, "text"}}) {
    if (tower->heads > 0 && tower->width % tower->heads == 0) continue;
    throw DataError(where,
                    tower->heads > 0
                        ? fmt::format("{} attention heads do not divide the {} tower's width of {}", tower->heads, name,
                                      tower->width)
                        : fmt::format("the weights do not tell how many attention heads the {} tower has (64 does not "
                                      "divide its width of {})",
                                      name, tower->width),
                    "Put the model's config.json (or open_clip_config.json) beside the weights");
  }
}

}  // namespace vicha
