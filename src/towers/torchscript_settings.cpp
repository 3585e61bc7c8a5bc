#include "towers/torchscript_settings.h"

#include <algorithm>
#include <cmath>

#include "config/suggestion.h"
#include "towers/json_fields.h"

namespace vicha::towers {
namespace {

const std::string kKeys[] = {"image_size", "mean", "std",           "interpolation", "resize",     "resize_to",
                             "output",     "name", "channels_last", "optimize",      "skip_tokens"};

std::int64_t side(const Json& value, const char* key, const Fields& fields) {
  if (!value.is_number_integer() || value.get<std::int64_t>() < 1 || value.get<std::int64_t>() > 8192) {
    fields.refuse(key, "wanted is a number of pixels, or [height, width]");
  }
  return value.get<std::int64_t>();
}

std::array<std::int64_t, 2> sides(const Fields& fields, const char* key) {
  const Json& value = *fields.find(key);
  if (!value.is_array()) return {side(value, key, fields), side(value, key, fields)};
  if (value.size() != 2) fields.refuse(key, "wanted is a number of pixels, or [height, width]");
  return {side(value[0], key, fields), side(value[1], key, fields)};
}

std::array<double, 3> colours(const Fields& fields, const char* key, bool positive) {
  const Json& value = *fields.find(key);
  std::array<double, 3> numbers{};
  if (!value.is_array() || value.size() != 3) fields.refuse(key, "wanted are three numbers, of samples from 0 to 1");
  for (std::size_t i = 0; i < 3; ++i) {
    if (!value[i].is_number() || !std::isfinite(value[i].get<double>()) || (positive && value[i].get<double>() <= 0)) {
      fields.refuse(key, positive ? "wanted are three numbers above 0" : "wanted are three numbers");
    }
    numbers[i] = value[i].get<double>();
  }
  return numbers;
}

TowerInput::Interpolation interpolation(const Fields& fields) {
  using Interpolation = TowerInput::Interpolation;
  const auto name = fields.get_or<std::string>("interpolation", "");
  if (name == "nearest") return Interpolation::kNearest;
  if (name == "bilinear") return Interpolation::kBilinear;
  if (name == "bicubic") return Interpolation::kBicubic;
  if (name == "lanczos") return Interpolation::kLanczos;
  fields.refuse("interpolation", "known are nearest, bilinear, bicubic, lanczos");
}

OutputPlace place(const Json& value, const char* key, const Fields& fields) {
  OutputPlace place;
  if (value.is_number_integer() && value.get<std::int64_t>() >= 0) {
    place.index = value.get<std::int64_t>();
  } else if (value.is_string() && !value.get<std::string>().empty()) {
    place.name = value.get<std::string>();
  } else {
    fields.refuse(key, "wanted is a place in a tuple from 0, or a name");
  }
  return place;
}

void read_output(TorchScriptSettings& settings, const Fields& fields) {
  constexpr const char* kWanted =
      "wanted is \"pooled\", \"patches\", or both by their places: {\"pooled\": 0, \"patches\": 1}";
  const Json& output = *fields.find("output");
  if (output.is_object()) {
    if (fields.has("name")) fields.refuse("name", "the places stand in 'output' already");
    for (const auto& [key, value] : output.items()) {
      if (key != "pooled" && key != "patches") fields.refuse("output", kWanted);
      (key == "pooled" ? settings.pooled : settings.patches) = place(value, "output", fields);
    }
    if (!settings.pooled && !settings.patches) fields.refuse("output", kWanted);
    return;
  }
  if (output != "pooled" && output != "patches") fields.refuse("output", kWanted);
  const Json* name = fields.find("name");
  (output == "pooled" ? settings.pooled : settings.patches) = name ? place(*name, "name", fields) : OutputPlace{};
}

}  // namespace

std::string OutputPlace::describe() const {
  if (whole()) return "its output";
  return index ? fmt::format("its output {}", *index) : fmt::format("its output '{}'", name);
}

std::string_view torchscript_example() {
  return R"({"image_size": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], )"
         R"("interpolation": "bicubic", "output": "pooled"})";
}

TorchScriptSettings torchscript_settings(std::string_view text, const std::string& where) {
  const Json json = parse_object(text, where);
  const Fields fields(json, where);
  for (const auto& [key, value] : json.items()) {
    if (std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys)) continue;
    throw DataError(where, fmt::format("the key '{}' is not known", key),
                    fmt::format("Nearest: '{}'", nearest_name(key, kKeys)));
  }
  for (const char* key : {"image_size", "mean", "std", "interpolation", "output"}) {
    if (!fields.has(key)) {
      throw DataError(where, fmt::format("lacks '{}'", key), fmt::format("An example: {}", torchscript_example()));
    }
  }
  TorchScriptSettings settings;
  TowerInput& input = settings.input;
  const auto [height, width] = sides(fields, "image_size");
  input.height = height;
  input.width = width;
  input.mean = colours(fields, "mean", false);
  input.std = colours(fields, "std", true);
  input.interpolation = interpolation(fields);
  const auto resize = fields.get_or<std::string>("resize", height == width ? "shorter" : "exact");
  if (resize != "shorter" && resize != "exact") fields.refuse("resize", "known are shorter and exact");
  input.resize = resize == "shorter" ? TowerInput::Resize::kShorter : TowerInput::Resize::kExact;
  const std::int64_t longer = std::max(height, width);
  input.resize_height = input.resize == TowerInput::Resize::kExact ? height : longer;
  input.resize_width = input.resize == TowerInput::Resize::kExact ? width : longer;
  if (fields.has("resize_to")) {
    const auto [to_height, to_width] = sides(fields, "resize_to");
    if (to_height < height || to_width < width) fields.refuse("resize_to", "smaller than 'image_size'");
    if (input.resize == TowerInput::Resize::kShorter && to_height != to_width) {
      fields.refuse("resize_to", "the shorter side is one number");
    }
    input.resize_height = to_height;
    input.resize_width = to_width;
  }
  read_output(settings, fields);
  settings.channels_last = fields.get_or("channels_last", true);
  settings.optimize = fields.get_or("optimize", true);
  settings.skip_tokens = fields.get_or<std::int64_t>("skip_tokens", 0);
  if (settings.skip_tokens < 0 || (settings.skip_tokens > 0 && !settings.patches)) {
    fields.refuse("skip_tokens", "wanted is how many tokens stand before the patches, where patches are given");
  }
  return settings;
}

}  // namespace vicha::towers
