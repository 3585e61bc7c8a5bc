// The "clip" group: both towers against transformers' CLIPModel, from every kind of weights file that is there.
#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "checkpoint/files/open.h"
#include "checkpoint/safetensors/safetensors.h"
#include "models/clip.h"
#include "nn/norm.h"
#include "report.h"

namespace vicha::parity {
namespace {

/// fp32 through a tower.
constexpr double kTower = 1e-5;
/// The fast path differs from the plain one in rounding only; features of two rounded towers.
constexpr double kPaths = 1e-5;

/// Stored as whole numbers of 1/32, or as they are.
at::Tensor pixels_of(const StateDict& io) {
  const at::Tensor stored = io.at("pixel_values", "io"), pixels = stored.to(at::kFloat);
  return stored.is_floating_point() ? pixels : pixels / 32;
}

class ClipCheck {
 public:
  ClipCheck(const Clip& clip, const StateDict& io, std::string kind, Report& report)
      : clip_(clip), io_(io), kind_(std::move(kind)), report_(report) {
    pixels_ = pixels_of(io);
    ids_ = io.at("input_ids", "io").to(at::kLong);
  }

  /// `prefix`: "" or "gelu.", which recorded results the model's activation gives.
  void run(const std::string& prefix) {
    prefix_ = prefix;
    const at::Tensor image = clip_.encode_image(pixels_), text = clip_.encode_text(ids_);
    compare("image_features_unnormalised", image);
    compare("text_features_unnormalised", text);
    compare("image_embeds", unit_rows(image));
    compare("text_embeds", unit_rows(text));
    compare("logits_per_image", at::mm(unit_rows(image), unit_rows(text).t()) * clip_.logit_scale());
    // One image and one text by themselves take other products and other threads.
    compare("image_embeds",
            unit_rows(at::cat({clip_.encode_image(pixels_.slice(0, 0, 1)), clip_.encode_image(pixels_.slice(0, 1))})));
    compare("text_embeds",
            unit_rows(at::cat({clip_.encode_text(ids_.slice(0, 0, 1)), clip_.encode_text(ids_.slice(0, 1))})));
    if (const at::Tensor padded = io_.find("input_ids_eos_padded"); padded.defined() && prefix.empty()) {
      compare("text_embeds_eos_padded", unit_rows(clip_.encode_text(padded.to(at::kLong))));
      compare("text_embeds_eos_padded", unit_rows(clip_.text_states(padded.to(at::kLong)).features));
    }
    const Clip::States vision = clip_.image_states(pixels_), language = clip_.text_states(ids_);
    states("vision", vision, vision.hidden.back());  // recorded before the norm after the layers
    states("text", language, language.normed);
    report_.tensor(name("image paths agree"), image, vision.features, kPaths);
    report_.tensor(name("text paths agree"), text, language.features, kPaths);
  }

 private:
  std::string name(const std::string& what) const { return kind_ + ": " + prefix_ + what; }

  void compare(const std::string& what, const at::Tensor& ours) {
    const at::Tensor theirs = io_.find(prefix_ + what);
    if (theirs.defined()) report_.tensor(name(what), ours, theirs, kTower);
  }

  /// Recorded for the first few of the batch.
  void compare_first(const std::string& what, const at::Tensor& ours) {
    const at::Tensor theirs = io_.find(prefix_ + what);
    if (!theirs.defined()) return;
    compare(what, ours.slice(0, 0, theirs.dim() == ours.dim() ? theirs.size(0) : 0));
  }

  void states(const std::string& tower, const Clip::States& states, const at::Tensor& last) {
    for (std::size_t i = 0; i < states.hidden.size(); ++i) {
      compare_first(tower + ".hidden." + std::to_string(i), states.hidden[i]);
    }
    compare_first(tower + ".last_hidden_state", last);
    compare_first(tower + ".pooled", states.pooled);
  }

  const Clip& clip_;
  const StateDict& io_;
  std::string kind_, prefix_;
  Report& report_;
  at::Tensor pixels_, ids_;
};

/// The same configuration with the exact GELU in both towers.
std::string with_gelu(const std::string& config) {
  nlohmann::json json = nlohmann::json::parse(config);
  json.at("text_config")["hidden_act"] = json.at("vision_config")["hidden_act"] = "gelu";
  return json.dump();
}

std::string activation_of(const std::string& config) {
  return nlohmann::json::parse(config).at("vision_config").value("hidden_act", "quick_gelu");
}

void check_set(const fs::path& io_file, const std::string& set, Report& report) {
  const fs::path folder = io_file.parent_path();
  const std::string config = read_file(folder / (set + ".config.json"));
  const StateDict io = read_safetensors(io_file);
  const bool has_gelu =
      std::any_of(io.begin(), io.end(), [](const auto& entry) { return entry.first.starts_with("gelu."); });
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string(), ending = entry.path().extension().string();
    const bool weights = ending == ".safetensors" || ending == ".pt" || ending == ".pth" || ending == ".bin";
    if (weights && file.starts_with(set + ".") && !file.ends_with(".io.safetensors")) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  report.expect(set + ": there are weights", !files.empty());
  at::Tensor first;
  for (const fs::path& file : files) {
    const std::string kind = file.filename().string().substr(set.size() + 1);
    const StateDict tensors = open_weights(file).tensors;
    const auto clip = make_clip(tensors, file.string(), config, set + ".config.json");
    ClipCheck(*clip, io, kind, report).run("");
    if (has_gelu && activation_of(config) == "quick_gelu") {
      ClipCheck(*make_clip(tensors, file.string(), with_gelu(config)), io, kind, report).run("gelu.");
    }
    // Whatever the names, the same weights give the same bits.
    const at::Tensor image = clip->encode_image(pixels_of(io));
    if (first.defined()) report.expect(kind + ": same bits as the first file", at::equal(first, image));
    if (!first.defined()) first = image;
    // By the file's own surroundings, as `--source clip:FILE` opens it.
    const LoadedClip loaded = load_clip(file);
    report.expect(kind + ": finds its configuration", loaded.config.filename() == set + ".config.json");
  }
  report.close("clip " + set);
}

}  // namespace

void check_clip(const fs::path& folder, Report& report) {
  const std::string ending = ".io.safetensors";
  std::vector<std::string> sets;
  for (const auto& entry : fs::directory_iterator(folder / "clip")) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(ending)) sets.push_back(name.substr(0, name.size() - ending.size()));
  }
  std::sort(sets.begin(), sets.end());
  report.expect("there is at least one set", !sets.empty());
  for (const std::string& set : sets) check_set(folder / "clip" / (set + ending), set, report);
  if (sets.empty()) report.close("clip");
}

}  // namespace vicha::parity
