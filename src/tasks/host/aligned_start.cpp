#include "tasks/host/aligned_start.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/files/open.h"
#include "checkpoint/names/load_report.h"
#include "data/pipeline/collate.h"
#include "tasks/host/model_files.h"

namespace vicha {
namespace {

constexpr const char* kRemedy = "Give a run of `vicha align`, or one of its checkpoints";

std::string weights_of_heads(const std::string& heads) {
  return std::filesystem::is_directory(heads) ? (checkpoint_folder(heads) / "model.safetensors").string() : heads;
}

StateDict read_heads(const std::string& heads) {
  const std::string file = weights_of_heads(heads);
  StateDict tensors = open_weights(file, true).tensors;
  for (const char* name : {"image_head.embed.weight", "text_head.embed.weight", "image_features.mean",
                           "text_features.mean", "contrast.log_scale"}) {
    if (!tensors.contains(name)) {
      throw DataError(file, fmt::format("has no tensor '{}': these are not heads of `vicha align`", name), kRemedy);
    }
  }
  return tensors;
}

struct HeadSize {
  std::int64_t blocks, width_factor;
};

HeadSize size_of(const StateDict& tensors, const std::string& head) {
  HeadSize size{0, 1};
  const std::int64_t embed_dim = tensors.at(head + ".embed.weight").size(0);
  for (;; ++size.blocks) {
    const at::Tensor inner = tensors.find(fmt::format("{}.blocks.{}.fc1.weight", head, size.blocks));
    if (!inner.defined()) return size;
    size.width_factor = inner.size(0) / std::max<std::int64_t>(1, embed_dim);
  }
}

/// Means over features of what is 0 and 1 where the heads were trained.
struct Offset {
  double mean, deviation;
  bool fits() const { return mean < 0.35 && deviation > 0.6 && deviation < 1.6; }
};

Offset offset(const Standardisation& moments, const at::Tensor& rows) {
  const at::Tensor z = moments(rows);
  return {z.mean(0).abs().mean().item<double>(), z.std(0).mean().item<double>()};
}

bool standardised(const Standardisation& moments) {
  return !moments.mean.eq(0).all().item<bool>() || !moments.deviation.eq(1).all().item<bool>();
}

constexpr std::int64_t kLooked = 512;

at::Tensor some_captions(const Vicha& model, const Manifest& manifest, const SampleText& text) {
  std::unordered_set<std::string> seen;
  std::vector<std::vector<std::int64_t>> rows;
  const std::int64_t step = std::max<std::int64_t>(1, manifest.size() / kLooked);
  for (std::int64_t i = 0; i < manifest.size(); i += step) {
    for (const std::string_view caption : manifest.captions(i)) {
      const auto [cleaned, is_new] = seen.insert(text.clean(caption));
      if (is_new) rows.push_back(text.encode(*cleaned));
    }
  }
  std::vector<const std::vector<std::int64_t>*> pointers;
  for (const auto& row : rows) pointers.push_back(&row);
  const Encoders& online = model.online();
  const PackedText pack = PackedText::packed(collate_tokens(pointers, text.pad_id()), model.device());
  const TextStates states = online.encode_text(pack, Dropout());
  return online.heads->pooled_text(states.states, states.pack);
}

at::Tensor some_pictures(const Manifest& manifest, const PictureFeatures& features) {
  const std::int64_t count = manifest.image_count(), step = std::max<std::int64_t>(1, count / kLooked);
  at::Tensor map = at::empty({features.patches(), features.width()});
  std::vector<at::Tensor> means;
  for (std::int64_t i = 0; i < count; i += step) {
    try {
      features.read(i, 0, {map.data_ptr<float>(), static_cast<std::size_t>(map.numel())});
    } catch (const DataError&) {
      continue;  // the few that may be bad
    }
    means.push_back(map.mean(0));
  }
  return means.empty() ? at::empty({0, features.width()}) : at::stack(means);
}

}  // namespace

void fit_to_heads(ModelOptions& model, const std::string& heads) {
  const StateDict tensors = read_heads(heads);
  const at::Tensor image = tensors.at("image_head.embed.weight"), text = tensors.at("text_head.embed.weight");
  const auto require = [&](const char* key, std::int64_t own, const char* what, std::int64_t theirs) {
    if (own == theirs) return;
    throw UsageError(
        fmt::format("{} = {}, and the heads in {} have {} {}: set it to that, or align once more with "
                    "towers and a size that this model has",
                    key, own, heads, what, theirs));
  };
  require("model.embed_dim", model.embed_dim, "a common space of", image.size(0));
  if (model.vit.patch_numbers() != 0) {
    require("model.image.width", model.vit.patch_numbers(), "pictures' features of", image.size(1));
  }
  require("model.text.width", model.text.width, "texts' features of", text.size(1));
  const HeadSize of_images = size_of(tensors, "image_head"), of_texts = size_of(tensors, "text_head");
  model.heads.enabled = true;
  model.heads.image_blocks = of_images.blocks;
  model.heads.image_width_factor = of_images.width_factor;
  model.heads.text_blocks = of_texts.blocks;
  model.heads.text_width_factor = of_texts.width_factor;
}

void start_as_heads(Vicha& model, const std::string& heads) {
  const at::NoGradGuard guard;
  const StateDict source = read_heads(heads);
  ParameterStore& store = model.parameters();
  // The mean over steps is what `vicha align` was judged by; the model's momentum copies start equal to it.
  StateDict own;
  NamedTensors targets;
  for (const ParameterStore::Released& r : store.released()) {
    std::string name = r.name;
    for (const char* part : {"image_head", "text_head", "image_features", "text_features"}) {
      const std::string copy = std::string(part) + "_m.";
      if (name.starts_with(copy)) name = std::string(part) + "." + name.substr(copy.size());
      if (!name.starts_with(std::string(part) + ".")) continue;
      const at::Tensor mean = source.find(std::string(part) + "_m" + name.substr(std::string(part).size()));
      const at::Tensor value = mean.defined() ? mean : source.find(name);
      if (value.defined()) own.set(r.name, value);
      targets.emplace_back(r.name, store.view(r));
    }
  }
  const std::string file = weights_of_heads(heads);
  const LoadReport report = load_into(targets, own, {.where = file, .remedy = kRemedy});
  log::info("aligned heads from {}: {}", file, report.summary());
  for (const Encoders* encoders : {&std::as_const(model).online(), &model.momentum()}) {
    for (const Linear* projection : {&encoders->vision_proj, &encoders->text_proj}) {
      at::Tensor weight = projection->weight, bias = projection->bias;
      weight.zero_();
      bias.zero_();
    }
  }
  at::Tensor temperature = model.temperature();
  temperature.fill_(std::exp(-source.at("contrast.log_scale").item<double>()));
  model.clamp_temperature();
}

void require_same_moments(const Vicha& model, const std::string& heads, const Manifest& manifest,
                          const SampleText& text, const PictureFeatures& features) {
  const at::NoGradGuard guard;
  const AlignedHeads& own = *model.online().heads;
  const auto judge = [&](const Standardisation& moments, const at::Tensor& rows, const char* what, const char* remedy) {
    if (rows.size(0) < 2 || !standardised(moments)) return;
    const Offset found = offset(moments, rows);
    log::info("what {} give the heads: mean {:.2f} deviations off, deviation {:.2f} times that in their training", what,
              found.mean, found.deviation);
    if (found.fits()) return;
    throw DataError(heads,
                    fmt::format("its heads were trained on other features than this model's {}: of {}, the mean is "
                                "{:.2f} deviations off and the deviation {:.2f} times that in their training",
                                what, rows.size(0), found.mean, found.deviation),
                    remedy);
  };
  judge(own.image_moments(), some_pictures(manifest, features), "patches",
        "Align on a tower whose pooled output is the mean of its patches, and embed the patches by the same one; or "
        "leave init.heads out");
  judge(own.text_moments(), some_captions(model, manifest, text), "words",
        "Align on the BERT of init.text with all its layers as text layers (model.text.text_layers), pooled by the "
        "mean (model.heads.normalise_text where that has length 1); or leave init.heads out");
}

}  // namespace vicha
