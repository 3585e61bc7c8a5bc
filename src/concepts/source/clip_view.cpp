#include "concepts/source/clip_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/settings_json.h"
#include "models/clip_settings.h"

namespace vicha {
namespace {

using ViewJson = nlohmann::json;

std::array<double, 3> three(const std::vector<double>& values) { return {values[0], values[1], values[2]}; }

void check_normalisation(ClipSettings& json, const char* mean, const char* std, const ClipView& view) {
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::ranges::all_of(view.mean, finite)) json.refuse(mean, "finite numbers");
  if (!std::ranges::all_of(view.std, [&](double value) { return finite(value) && value > 0; })) {
    json.refuse(std, "positive numbers");
  }
}

ClipView open_clip_view(ClipSettings& json, int side) {
  ClipView view;
  view.side = side;
  json.expect_side("size", side);
  json.only("mode", {"RGB"});
  if (const auto mean = json.colours("mean")) view.mean = three(*mean);
  if (const auto std = json.colours("std")) view.std = three(*std);
  check_normalisation(json, "mean", "std", view);
  json.only("interpolation", {"bicubic", "bilinear", "random"});  // random is for training, bicubic elsewhere
  if (json.text("interpolation") == "bilinear") view.filter = Filter::kBilinear;
  json.only("resize_mode", {"shortest", "longest", "squash"});
  const std::string mode = json.text("resize_mode").value_or("");
  if (mode == "longest") view.fit = ClipView::Fit::kLongest;
  if (mode == "squash") view.fit = ClipView::Fit::kSquash;
  const std::int64_t fill = json.whole("fill_color").value_or(0);
  if (fill < 0 || fill > 255) json.refuse("fill_color", "0 to 255");
  if (view.fit == ClipView::Fit::kLongest) view.fill = static_cast<std::uint8_t>(fill);
  json.warn_of_rest();
  return view;
}

/// The forms of a size: 224, {"shortest_edge": 224}, {"height": 224, "width": 224}.
struct TransformersSize {
  std::int64_t pixels;
  bool both;  ///< sides become so long; otherwise the short one
};

std::optional<TransformersSize> transformers_size(ClipSettings& json, const char* key, bool number_is_both) {
  if (!json.value(key).is_object()) {
    const auto pixels = json.side(key);
    if (!pixels) return std::nullopt;
    return TransformersSize{*pixels, number_is_both || json.value(key).is_array()};
  }
  ClipSettings size = json.inside(key);
  size.unset({"longest_edge", "max_height", "max_width"});
  const auto shortest = size.whole("shortest_edge"), height = size.whole("height"), width = size.whole("width");
  size.warn_of_rest();
  if (shortest) return TransformersSize{*shortest, false};
  if (!height || !width || *height != *width)
    json.refuse(key, "a number, {\"shortest_edge\": N}, or a height and width that are alike");
  return TransformersSize{*height, true};
}

/// transformers' CLIPImageProcessor.
ClipView transformers_view(ClipSettings& json, int side) {
  ClipView view;
  view.side = side;
  if (json.flag("do_resize") == false) json.refuse("do_resize", "true");
  const auto size = transformers_size(json, "size", false);
  const bool crops = json.flag("do_center_crop").value_or(true);
  const auto crop = transformers_size(json, "crop_size", true);
  if (crops && crop && crop->pixels != side) json.refuse("crop_size", fmt::format("what the model reads: {}", side));
  const TransformersSize resized = size.value_or(TransformersSize{side, false});
  if (!crops && (!resized.both || resized.pixels != side)) {
    json.refuse(json.has("do_center_crop") ? "do_center_crop" : "size",
                fmt::format("true, or a \"size\" whose height and width are what the model reads: {}", side));
  }
  if (resized.pixels < side || resized.pixels > 16 * side) {
    json.refuse("size", fmt::format("{} pixels or more, which is what the model reads", side));
  }
  if (resized.both) view.fit = ClipView::Fit::kSquash;
  view.resized = static_cast<int>(resized.pixels);
  json.only("resample", {2, 3});
  if (json.whole("resample") == 2) view.filter = Filter::kBilinear;
  view.rgb_first = json.flag("do_convert_rgb").value_or(false);

  if (const auto mean = json.colours("image_mean")) view.mean = three(*mean);
  if (const auto std = json.colours("image_std")) view.std = three(*std);
  check_normalisation(json, "image_mean", "image_std", view);
  if (!json.flag("do_normalize").value_or(true)) view.mean = {0, 0, 0}, view.std = {1, 1, 1};
  // (x factor - mean) / std, where we take (x / 255 - mean) / std.
  const double factor = json.number("rescale_factor").value_or(1.0 / 255);
  const bool rescales = json.flag("do_rescale").value_or(true);
  if (rescales && !(factor > 0 && std::isfinite(factor))) json.refuse("rescale_factor", "a positive number");
  const double times = (rescales ? factor : 1.0) * 255;
  if (std::fabs(times - 1) > 1e-6) {
    for (double& value : view.mean) value /= times;
    for (double& value : view.std) value /= times;
  }
  json.unset({"do_pad", "pad_size", "do_reduce_labels"});
  json.pass({"feature_extractor_type", "image_processor_type", "processor_class", "_processor_class",
             "_valid_processor_keys", "auto_map", "return_tensors", "device", "input_data_format", "data_format",
             "default_to_square", "model_input_names", "disable_grouping", "_name_or_path", "transformers_version",
             "use_fast"});
  json.only("data_format", {"channels_first"});
  json.warn_of_rest();
  return view;
}

}  // namespace

std::optional<ClipView> clip_view_of(std::string_view text, std::string_view where, int side) {
  const ViewJson json = settings_object(text, where);
  if (json.contains("model_cfg") || json.contains("preprocess_cfg")) {
    ClipSettings whole(json, "", where);
    ClipSettings settings = whole.inside("preprocess_cfg");
    if (!whole.has("preprocess_cfg")) return std::nullopt;
    return open_clip_view(settings, side);
  }
  if (json.contains("image_processor")) {
    ClipSettings whole(json, "", where);
    ClipSettings settings = whole.inside("image_processor");
    return transformers_view(settings, side);
  }
  if (json.contains("vision_config") || json.contains("vision_cfg")) return std::nullopt;  // the model's own
  ClipSettings settings(json, "", where);
  return transformers_view(settings, side);
}

FoundClipView find_clip_view(const fs::path& weights, const fs::path& config, int side) {
  FoundClipView found;
  found.view.side = side;
  constexpr std::string_view kNamed = ".config.json";
  const std::string name = config.filename().string();
  std::vector<fs::path> candidates;
  if (!config.empty()) candidates.push_back(config);
  if (name == "config.json" || (config.empty() && fs::is_directory(weights))) {
    const fs::path folder = config.empty() ? weights : config.parent_path();
    candidates.push_back(folder / "preprocessor_config.json");
    candidates.push_back(folder / "processor_config.json");
  } else if (name.ends_with(kNamed)) {
    const std::string stem = name.substr(0, name.size() - kNamed.size());
    candidates.push_back(config.parent_path() / (stem + ".preprocessor_config.json"));
  }
  for (const fs::path& candidate : candidates) {
    if (!fs::is_regular_file(candidate)) continue;
    const auto view = clip_view_of(read_file(candidate), candidate.string(), side);
    if (!view) continue;
    found.view = *view;
    found.file = candidate;
    break;
  }
  return found;
}

}  // namespace vicha
