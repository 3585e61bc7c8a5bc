#include "towers/preprocess.h"

#include <cmath>

#include "base/log.h"
#include "towers/json_fields.h"

namespace vicha::towers {
namespace {

using Resize = TowerInput::Resize;
using Interpolation = TowerInput::Interpolation;
constexpr std::array<double, 3> kImageNetMean = {0.485, 0.456, 0.406}, kImageNetStd = {0.229, 0.224, 0.225};
constexpr std::array<double, 3> kClipMean = {0.48145466, 0.4578275, 0.40821073},
                                kClipStd = {0.26862954, 0.26130258, 0.27577711};
constexpr std::int64_t kMostPixels = 8192;

std::int64_t checked_side(std::int64_t side, const char* key, const Fields& fields) {
  if (side < 1 || side > kMostPixels) fields.refuse(key, fmt::format("wanted are 1 to {} pixels", kMostPixels));
  return side;
}

struct Size {
  std::int64_t height = 0, width = 0;
  bool shorter = false;  ///< only the shorter side is given
};

/// A number, {"height", "width"} or {"shortest_edge"}.
std::optional<Size> size_of(const Fields& fields, const char* key, bool number_is_shorter) {
  const Json* value = fields.find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_integer()) {
    const std::int64_t side = checked_side(value->get<std::int64_t>(), key, fields);
    return Size{side, side, number_is_shorter};
  }
  if (!value->is_object()) fields.refuse(key, "wanted is a number or an object");
  const Fields inner(*value, fmt::format("{}: {}", fields.where(), key));
  if (const auto edge = inner.get<std::int64_t>("shortest_edge")) {
    if (inner.has("longest_edge")) inner.refuse("longest_edge", "a bound on the longer side is not built");
    const std::int64_t side = checked_side(*edge, "shortest_edge", inner);
    return Size{side, side, true};
  }
  const auto height = inner.get<std::int64_t>("height"), width = inner.get<std::int64_t>("width");
  if (!height || !width) fields.refuse(key, "wanted are height and width, or shortest_edge");
  return Size{checked_side(*height, "height", inner), checked_side(*width, "width", inner), false};
}

std::array<double, 3> three(const Fields& fields, const char* key, std::array<double, 3> otherwise, bool positive) {
  const Json* value = fields.find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_array() || value->size() != 3) fields.refuse(key, "wanted are three numbers");
  std::array<double, 3> numbers{};
  for (std::size_t i = 0; i < 3; ++i) {
    if (!(*value)[i].is_number()) fields.refuse(key, "wanted are three numbers");
    numbers[i] = (*value)[i].get<double>();
    if (!std::isfinite(numbers[i]) || (positive && numbers[i] <= 0)) {
      fields.refuse(key, positive ? "wanted are numbers above 0" : "wanted are finite numbers");
    }
  }
  return numbers;
}

Interpolation pillow_filter(std::int64_t number, const Fields& fields) {
  constexpr Interpolation kFilters[] = {Interpolation::kNearest, Interpolation::kLanczos, Interpolation::kBilinear,
                                        Interpolation::kBicubic};
  if (number < 0 || number > 3) {
    fields.refuse("resample", "built are 0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic)");
  }
  return kFilters[number];
}

/// Processors of CLIP and of DINOv2 (BitImageProcessor) mean the shorter side by one number, the others both sides.
bool number_is_shorter(const Fields& fields, Recipe recipe) {
  std::string type = fields.get_or<std::string>("image_processor_type", "");
  if (type.empty()) type = fields.get_or<std::string>("feature_extractor_type", "");
  if (type.starts_with("CLIP") || type.starts_with("Bit")) return true;
  if (!type.empty()) return false;
  return recipe == Recipe::kClip || recipe == Recipe::kDinov2;
}

}  // namespace

TowerInput usual_input(Recipe recipe, std::int64_t side, std::int64_t patch) {
  TowerInput input;
  input.multiple = patch;
  input.height = input.width = input.resize_height = input.resize_width = side;
  switch (recipe) {
    case Recipe::kHuggingFaceVit:
      input.resize = Resize::kExact;
      input.interpolation = Interpolation::kBilinear;
      break;
    case Recipe::kSiglip:
      input.resize = Resize::kExact;
      break;
    case Recipe::kDeit:
      input.resize_height = input.resize_width = side * 8 / 7;
      input.mean = kImageNetMean;
      input.std = kImageNetStd;
      break;
    case Recipe::kDinov2:
      input.height = input.width = 224;
      input.resize_height = input.resize_width = 256;
      input.mean = kImageNetMean;
      input.std = kImageNetStd;
      break;
    case Recipe::kClip:
      input.mean = kClipMean;
      input.std = kClipStd;
      break;
  }
  return input;
}

TowerInput preprocessor_input(TowerInput input, Recipe recipe, std::string_view text, std::string_view where) {
  const Json json = parse_object(text, where);
  const Fields fields(json, std::string(where));
  const bool shorter = number_is_shorter(fields, recipe);
  for (const char* key : {"do_resize", "do_rescale", "do_normalize"}) {
    if (!fields.get_or(key, true))
      fields.refuse(key, "a tower whose pictures are not resized and normalised is not built");
  }
  if (std::abs(fields.get_or("rescale_factor", 1.0 / 255) - 1.0 / 255) > 1e-9) {
    fields.refuse("rescale_factor", "built is 1/255");
  }
  if (const auto size = size_of(fields, "size", shorter)) {
    input.resize = size->shorter ? Resize::kShorter : Resize::kExact;
    input.resize_height = input.height = size->height;
    input.resize_width = input.width = size->width;
  }
  // Whoever says no crop where the proportions are kept would get pictures of different sizes, which no batch holds.
  const bool crop = fields.get_or("do_center_crop", fields.has("crop_size") || input.resize == Resize::kShorter);
  if (!crop && input.resize == Resize::kShorter) {
    fields.refuse("do_center_crop", "without a crop, pictures of different proportions would differ in size");
  }
  if (const auto size = size_of(fields, "crop_size", false); size && crop) {
    if (size->height > input.resize_height || size->width > input.resize_width) {
      fields.refuse("crop_size",
                    fmt::format("larger than the resized picture ({}x{})", input.resize_height, input.resize_width));
    }
    input.height = size->height;
    input.width = size->width;
  }
  if (const auto filter = fields.get<std::int64_t>("resample")) input.interpolation = pillow_filter(*filter, fields);
  input.mean = three(fields, "image_mean", input.mean, false);
  input.std = three(fields, "image_std", input.std, true);
  return input;
}

bool is_timm_config(std::string_view text) {
  const Json json = parse_settings(text);
  return json.is_object() && json.contains("architecture") && !json.contains("model_type");
}

TowerInput timm_input(TowerInput input, std::string_view text, std::string_view where) {
  const Json json = parse_object(text, where);
  const auto found = json.find("pretrained_cfg");
  const Json& inner = found != json.end() && found->is_object() ? *found : json;
  const Fields fields(inner, std::string(where));
  if (const Json* size = fields.find("input_size")) {
    const bool square = size->is_array() && size->size() == 3 && (*size)[0] == 3 && (*size)[1].is_number_integer() &&
                        (*size)[1] == (*size)[2];
    if (!square) fields.refuse("input_size", "wanted is [3, S, S]");
    input.height = input.width = checked_side((*size)[1].get<std::int64_t>(), "input_size", fields);
  }
  const auto share = fields.get_or("crop_pct", 0.875);
  if (!(share > 0.1 && share <= 1)) fields.refuse("crop_pct", "wanted is a share up to 1");
  input.resize_height = input.resize_width =
      static_cast<std::int64_t>(std::floor(static_cast<double>(input.height) / share));
  const auto mode = fields.get_or<std::string>("crop_mode", "center");
  if (mode != "center" && mode != "squash") fields.refuse("crop_mode", "built are center and squash");
  input.resize = mode == "squash" ? Resize::kExact : Resize::kShorter;
  const auto filter = fields.get_or<std::string>("interpolation", "bicubic");
  if (filter == "bicubic" || filter == "random") {
    input.interpolation = Interpolation::kBicubic;
  } else if (filter == "bilinear") {
    input.interpolation = Interpolation::kBilinear;
  } else {
    fields.refuse("interpolation", "built are bicubic and bilinear");
  }
  input.mean = three(fields, "mean", input.mean, false);
  input.std = three(fields, "std", input.std, true);
  return input;
}

TowerInput input_beside(const fs::path& weights, Recipe recipe, std::int64_t side, std::int64_t patch, bool* told) {
  const TowerInput usual = usual_input(recipe, side, patch);
  if (told != nullptr) *told = true;
  if (const fs::path file = file_beside(weights, "preprocessor_config.json"); !file.empty()) {
    return preprocessor_input(usual, recipe, read_small(file), file.string());
  }
  if (const fs::path file = file_beside(weights, "config.json"); !file.empty()) {
    const std::string text = read_small(file);
    (void)parse_object(text, file.string());
    if (is_timm_config(text)) return timm_input(usual, text, file.string());
  }
  if (told != nullptr) *told = false;
  return usual;
}

}  // namespace vicha::towers
