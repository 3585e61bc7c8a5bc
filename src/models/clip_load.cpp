#include <fmt/format.h>

#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/settings_json.h"
#include "checkpoint/files/open.h"
#include "checkpoint/names/clip_names.h"
#include "models/clip.h"
#include "models/named_weights.h"

namespace vicha {
namespace {

constexpr const char* kOpenClipConfig = "open_clip_config.json";

/// open_clip's folders have file names of their own.
fs::path weights_file(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  for (const char* own : {"model.safetensors", "pytorch_model.bin", "model.safetensors.index.json"}) {
    if (fs::exists(path / own)) return path;
  }
  for (const char* name : {"open_clip_model.safetensors", "open_clip_pytorch_model.bin"}) {
    if (fs::exists(path / name)) return path / name;
  }
  return path;
}

/// The configuration that belongs to the weights, or an empty path. Other programs' config.json files may lie about;
/// one that cannot be read is refused, as it may be the model's.
fs::path config_beside(const fs::path& weights, ClipNaming naming) {
  const bool folder = fs::is_directory(weights);
  const fs::path around = folder ? weights : weights.parent_path();
  std::vector<fs::path> candidates;
  if (!folder) {
    // NAME.config.json; NAME.openai.pt takes NAME.config.json too.
    for (fs::path stem = weights.stem(); !stem.empty(); stem = stem.stem()) {
      candidates.push_back(around / (stem.string() + ".config.json"));
      if (stem == stem.stem()) break;
    }
  }
  candidates.push_back(around / "config.json");
  candidates.push_back(around / kOpenClipConfig);
  // A folder may hold both kinds of weights, each with its configuration.
  if (naming != ClipNaming::kHuggingFace) std::swap(candidates.back(), candidates[candidates.size() - 2]);
  for (const fs::path& candidate : candidates) {
    if (!fs::is_regular_file(candidate)) continue;
    const std::string text = read_file(candidate);
    (void)settings_object(text, candidate.string());
    if (is_clip_config(text)) return candidate;
  }
  return {};
}

}  // namespace

std::unique_ptr<Clip> make_clip(const StateDict& tensors, std::string_view where, std::string_view config,
                                std::string_view config_where) {
  const StateDict named = to_clip_names(tensors, where);
  ClipOptions options = clip_options(named, where);
  if (!config.empty()) apply_clip_config(options, config, config_where);
  check_clip_options(options, where);
  auto clip = std::make_unique<Clip>(options);
  fill_parameters(clip->parameters(), named, where,
                  "The weights are of a kind of CLIP that is not built here, or incomplete");
  // Similarities are multiplied by it in fp32.
  const double scale = clip->logit_scale();
  if (!(scale > 0) || scale > static_cast<double>(std::numeric_limits<float>::max())) {
    throw DataError(
        where, fmt::format("'logit_scale' makes cosines {} times as large: that is not a finite number above 0", scale),
        "The weights are damaged, or of a training that diverged: take others");
  }
  return clip;
}

LoadedClip load_clip(const fs::path& given, const fs::path& config) {
  const fs::path path = weights_file(given);
  const Weights weights = open_weights(path, true);
  const ClipNaming naming = detect_clip_naming(weights.tensors);
  LoadedClip loaded;
  loaded.config = config.empty() ? config_beside(path, naming) : config;
  const std::string text = loaded.config.empty() ? "" : read_file(loaded.config);
  loaded.clip = make_clip(weights.tensors, given.string(), text, loaded.config.string());
  const ClipOptions& options = loaded.clip->options();
  loaded.what =
      fmt::format("{}, {:.0f} M parameters ({}{})", options.name(), static_cast<double>(options.parameters()) * 1e-6,
                  to_string(naming), loaded.config.empty() ? "" : ", " + loaded.config.filename().string());
  // OpenAI's archive carries its sizes; the same names without them may be open_clip's, most of which have the exact
  // GELU.
  if (loaded.config.empty() && !weights.tensors.contains("input_resolution")) {
    log::warning(
        "{}: no configuration beside the weights, so QuickGELU and heads of 64 are taken for granted, as in "
        "OpenAI's models; put config.json or {} there if they differ",
        given.string(), kOpenClipConfig);
  }
  return loaded;
}

}  // namespace vicha
