#include "towers/registry.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "checkpoint/files/open.h"
#include "config/suggestion.h"
#include "models/clip_options.h"
#include "towers/bert_tower.h"
#include "towers/clip_tower_source.h"
#include "towers/json_fields.h"
#include "towers/naming.h"
#include "towers/preprocess.h"
#include "towers/torchscript_tower.h"
#include "towers/vit_tower.h"

namespace vicha {
namespace {

using towers::Fields;
using towers::Json;

template <class Tower>
struct Kind {
  std::string prefix;
  std::unique_ptr<Tower> (*load)(const fs::path&);
};

const std::vector<Kind<ImageTower>>& image_kinds() {
  static const std::vector<Kind<ImageTower>> kinds = {
      {"vit", [](const fs::path& p) -> std::unique_ptr<ImageTower> { return load_vit_tower(VitKind::kVit, p); }},
      {"dinov2", [](const fs::path& p) -> std::unique_ptr<ImageTower> { return load_vit_tower(VitKind::kDinov2, p); }},
      {"siglip", [](const fs::path& p) -> std::unique_ptr<ImageTower> { return load_vit_tower(VitKind::kSiglip, p); }},
      {"clip", [](const fs::path& p) -> std::unique_ptr<ImageTower> { return load_clip_image_tower(p); }},
      {"torchscript", load_torchscript_tower},
  };
  return kinds;
}

const std::vector<Kind<TextTower>>& text_kinds() {
  static const std::vector<Kind<TextTower>> kinds = {
      {"bert", [](const fs::path& p) -> std::unique_ptr<TextTower> { return load_bert_tower(p); }},
      {"clip", load_clip_text_tower},
  };
  return kinds;
}

/// "vit:FILE, dinov2:FILE".
template <class Tower>
std::string list_of(const std::vector<Kind<Tower>>& kinds) {
  std::string list;
  for (const auto& kind : kinds) list += (list.empty() ? "" : ", ") + kind.prefix + ":FILE";
  return list;
}

/// A file is never guessed at, only named for what it seems to be.
[[noreturn]] void refuse_file(const std::string& spec, const std::string& list) {
  std::string_view prefix;
  try {
    prefix = towers::prefix_of(detect_tower_naming(open_weights(spec, true).tensors));
  } catch (const DataError&) {  // not weights; the list says what is wanted
  }
  throw UsageError(prefix.empty() ? fmt::format("{}: say what it is, one of {}", spec, list)
                                  : fmt::format("{}: say what it is; it looks like {}:{}", spec, prefix, spec));
}

std::string prefix_of_folder(const fs::path& folder, const std::string& list) {
  for (const char* name : {"config.json", "open_clip_config.json"}) {
    const fs::path file = folder / name;
    if (!fs::is_regular_file(file)) continue;
    const std::string text = towers::read_small(file);
    if (const auto prefix = tower_prefix_of_config(text)) return *prefix;
    const Json json = towers::parse_object(text, file.string());
    const Fields fields(json, file.string());
    fields.refuse(fields.has("model_type") ? "model_type" : "architecture",
                  fmt::format("no tower of that kind is built; known are {}", list));
  }
  throw DataError(folder.string(), "has no config.json, which would say what tower this is",
                  fmt::format("Say it: one of {}", list));
}

template <class Tower>
std::unique_ptr<Tower> open_tower(const std::string& spec, const std::vector<Kind<Tower>>& kinds, const char* what) {
  const std::size_t colon = spec.find(':');
  std::string prefix = colon == std::string::npos ? "" : spec.substr(0, colon);
  fs::path path = colon == std::string::npos ? spec : spec.substr(colon + 1);
  const auto find = [&] {
    return std::find_if(kinds.begin(), kinds.end(), [&](const auto& kind) { return kind.prefix == prefix; });
  };
  if (find() == kinds.end() && fs::exists(spec)) {  // a path, perhaps with a colon in it
    if (!fs::is_directory(spec)) refuse_file(spec, list_of(kinds));
    prefix = prefix_of_folder(spec, list_of(kinds));
    path = spec;
    if (find() == kinds.end()) {
      throw DataError(spec, fmt::format("is a {} by its config.json, which is not a {} tower", prefix, what),
                      fmt::format("Wanted is one of {}", list_of(kinds)));
    }
  }
  const auto kind = find();
  if (kind == kinds.end()) {
    if (colon == std::string::npos) {
      throw UsageError(
          fmt::format("{}: is not there; wanted is a folder with config.json, or one of {}", spec, list_of(kinds)));
    }
    std::vector<std::string> known;
    for (const auto& one : kinds) known.push_back(one.prefix);
    throw UsageError(fmt::format("{}: there is no {} tower '{}'; nearest: '{}'. Known are {}", spec, what, prefix,
                                 nearest_name(prefix, known), list_of(kinds)));
  }
  if (path.empty()) throw UsageError(fmt::format("{}: the file is missing behind the colon", spec));
  return kind->load(path);
}

}  // namespace

std::optional<std::string> tower_prefix_of_config(std::string_view text) {
  const Json json = towers::parse_settings(text);
  if (!json.is_object()) return std::nullopt;
  for (const VitKind kind : {VitKind::kVit, VitKind::kDinov2, VitKind::kSiglip}) {
    if (is_vit_config(text, kind)) return std::string(to_string(kind));
  }
  const auto type = json.find("model_type");
  if (is_clip_config(text) && (type == json.end() || *type == "clip")) return "clip";
  if (type != json.end()) return *type == "bert" ? std::optional<std::string>("bert") : std::nullopt;
  if (!towers::is_timm_config(text)) return std::nullopt;
  const auto& architecture = json.at("architecture");
  const std::string name = architecture.is_string() ? architecture.get<std::string>() : "";
  if (name.find("dinov2") != std::string::npos) return "dinov2";
  if (name.starts_with("vit_") || name.starts_with("deit")) return "vit";
  return std::nullopt;
}

std::optional<std::string> tower_prefix_of(std::string_view spec) {
  const std::string prefix(spec.substr(0, spec.find(':')));
  const auto is = [&](const auto& kind) { return kind.prefix == prefix; };
  if (prefix.size() < spec.size() &&
      (std::ranges::any_of(image_kinds(), is) || std::ranges::any_of(text_kinds(), is))) {
    return prefix;
  }
  if (!fs::is_directory(spec)) return std::nullopt;
  for (const char* name : {"config.json", "open_clip_config.json"}) {
    const fs::path file = fs::path(spec) / name;
    if (fs::is_regular_file(file)) return tower_prefix_of_config(towers::read_small(file));
  }
  return std::nullopt;
}

std::unique_ptr<ImageTower> open_image_tower(std::string_view spec) {
  return open_tower(std::string(spec), image_kinds(), "picture");
}

std::unique_ptr<TextTower> open_text_tower(std::string_view spec) {
  return open_tower(std::string(spec), text_kinds(), "text");
}

}  // namespace vicha
