#include "tasks/model_files.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "checkpoint/files/open.h"
#include "checkpoint/names/load_report.h"
#include "checkpoint/names/names.h"
#include "config/serialize.h"
#include "nn/position.h"
#include "train/checkpoint_folder.h"
#include "train/device.h"

namespace vicha {
namespace {

constexpr const char* kLayer = "text_encoder.bert.encoder.layer.";

NamedTensors tensors_below(const ParameterStore& store, std::initializer_list<std::string_view> prefixes) {
  NamedTensors result;
  for (const ParameterStore::Released& r : store.released()) {
    for (const std::string_view prefix : prefixes) {
      if (r.name.starts_with(prefix)) {
        result.emplace_back(r.name, store.view(r));
        break;
      }
    }
  }
  return result;
}

at::Tensor interpolate(const std::string& name, const at::Tensor& source, at::IntArrayRef shape) {
  if (!name.ends_with(".pos_embed") || source.dim() != 3 || source.size(2) != shape[2]) return {};
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(shape[1] - 1))));
  return side * side == shape[1] - 1 ? resize_positions(source.to(at::kFloat), side) : at::Tensor();
}

void say(std::string_view what, const std::string& file, const LoadReport& report) {
  log::info("{} from {}: {}", what, file, report.summary());
}

void initialise_vit(Vicha& model, const std::string& file) {
  const StateDict source = to_released_names(open_weights(file, true).tensors, file);
  const LoadPolicy policy{.where = file,
                          .reshape = interpolate,
                          .remedy = "Give weights of the size that [model.vit] describes, or change that to theirs"};
  say("image encoder", file, load_into(tensors_below(model.parameters(), {"visual_encoder."}), source, policy));
}

/// The concept encoder begins as the text encoder's embeddings and first layers (method, section 2).
void start_concepts_as_text(Vicha& model) {
  StateDict first;
  for (const auto& [name, tensor] : tensors_below(model.parameters(), {"text_encoder.bert."})) {
    first.set("kw_encoder." + name.substr(std::string_view("text_encoder.bert.").size()), tensor);
    if (name.starts_with("text_encoder.bert.embeddings.")) {
      first.set("kw_encoder." + name.substr(std::string_view("text_encoder.bert.embeddings.").size()), tensor);
    }
  }
  for (const auto& [name, tensor] : tensors_below(model.parameters(), {"kw_encoder."})) {
    if (const at::Tensor value = first.find(name); value.defined()) at::Tensor(tensor).copy_(value);
  }
}

/// Layers 0 … of the weights become text layers, then fusion layers, as far as they reach; cross-attention starts
/// fresh.
void initialise_text(Vicha& model, const std::string& file) {
  const StateDict source = to_released_names(open_weights(file, true).tensors, file);
  std::int64_t layers = 0;
  while (source.contains(kLayer + std::to_string(layers) + ".output.dense.weight")) ++layers;
  LoadPolicy policy{.where = file,
                    .allow_missing = {std::string(kLayer) + "*.crossattention.**", "text_encoder.cls.**"},
                    .allow_unexpected = {"text_encoder.bert.pooler.**", "text_encoder.cls.**"},
                    .remedy = "Give weights of the size that [model.text] describes, or change that to theirs"};
  const TextOptions& text = model.options().text;
  for (std::int64_t i = 0; i < std::max(layers, text.text_layers + text.fusion_layers); ++i) {
    const std::string pattern = kLayer + std::to_string(i) + ".**";
    if (i >= layers) policy.allow_missing.push_back(pattern);
    if (i >= text.text_layers + text.fusion_layers) policy.allow_unexpected.push_back(pattern);
  }
  if (layers < text.text_layers) {
    throw DataError(file,
                    fmt::format("has {} layers, fewer than model.text.text_layers = {}", layers, text.text_layers),
                    "Lower model.text.text_layers or give a deeper BERT");
  }
  say("text encoder", file, load_into(tensors_below(model.parameters(), {"text_encoder."}), source, policy));

  start_concepts_as_text(model);
}

/// Momentum copies that a file has not begin as copies of what they follow.
void start_missing_copies(const NamedTensors& targets, const LoadReport& report, const std::string& file) {
  constexpr std::string_view kCopy = "_m.";
  StateDict online;
  for (const auto& [name, tensor] : targets) online.set(name, tensor);
  std::int64_t started = 0;
  for (const std::string& name : report.missing) {
    const std::size_t at = name.find(kCopy);
    if (at == std::string::npos) continue;
    at::Tensor copy = online.at(name);
    copy.copy_(online.at(name.substr(0, at) + name.substr(at + kCopy.size() - 1)));
    ++started;
  }
  if (started > 0)
    log::info("{} momentum copies that {} does not have start as copies of the online model", started, file);
}

/// A file of weights, a checkpoint folder, or a run's folder: its last checkpoint.
std::string weights_of(const std::string& checkpoint) {
  return fs::is_directory(checkpoint) ? (checkpoint_folder(checkpoint) / "model.safetensors").string() : checkpoint;
}

void initialise_all(Vicha& model, const std::string& file) {
  const Weights weights = open_weights(file, true);
  const StateDict source = to_released_names(weights.tensors, file);
  // ALBEF, and a first model of ours, have no concepts, hierarchy or MAE; models without momentum or queue start those
  // anew.
  const LoadPolicy policy{.where = file,
                          .allow_missing = {"kw_encoder.**", "kw_proj.**", "kw_encoder_m.**", "kw_proj_m.**", "*_m.**",
                                            "*_queue", "queue_ptr", "*_proj_hidden.**", "decoder_*", "decoder_*.**",
                                            "mask_token", "mae_proj.**", "mae_proj_uni.**", "itm_head.**"},
                          .allow_unexpected = {"decoder_*", "decoder_*.**", "mask_token", "mae_proj.**",
                                               "mae_proj_uni.**", "*_proj_hidden.**", "*_queue"},
                          .reshape = interpolate,
                          .remedy = "Give a checkpoint of the size that [model] describes, or change that to its"};
  NamedTensors targets;
  for (const ParameterStore::Released& r : model.parameters().released()) {
    if (r.name != "decoder_pos_embed") targets.emplace_back(r.name, model.parameters().view(r));
  }
  const LoadReport report = load_into(targets, source, policy);
  say("model", file, report);
  const auto is_concepts = [](const std::string& name) { return name.starts_with("kw_encoder."); };
  if (std::ranges::any_of(report.missing, is_concepts)) {
    start_concepts_as_text(model);
    log::info("the concept encoder starts as the text encoder's first layers");
  }
  start_missing_copies(targets, report, file);
}

fs::path vocabulary_of(const fs::path& checkpoint, const PretrainRecipe& recipe) {
  const fs::path kept = checkpoint / "vocab.txt";
  return fs::exists(kept) ? kept : fs::path(recipe.init.vocabulary);
}

}  // namespace

void initialise_model(Vicha& model, const PretrainRecipe& recipe) {
  const at::NoGradGuard guard;
  if (!recipe.init.checkpoint.empty()) {
    initialise_all(model, weights_of(recipe.init.checkpoint));
    return;
  }
  if (!recipe.init.vit.empty()) initialise_vit(model, recipe.init.vit);
  if (!recipe.init.text.empty()) initialise_text(model, recipe.init.text);
  model.reset_momentum();
}

std::shared_ptr<const WordPiece> load_tokenizer(const fs::path& vocabulary, const TextOptions& text) {
  if (vocabulary.empty()) {
    throw UsageError(
        "no vocabulary: set init.vocabulary to BERT's vocab.txt (it comes with bert-base-uncased and with MiniLM)");
  }
  Vocabulary words = Vocabulary::load(vocabulary);
  if (static_cast<std::int64_t>(words.size()) != text.vocabulary) {
    throw DataError(
        vocabulary.string(),
        fmt::format("has {} words, the model has {} (model.text.vocabulary)", words.size(), text.vocabulary),
        "Give the vocabulary that the weights were trained with");
  }
  const std::pair<const char*, std::pair<std::int64_t, std::int64_t>> ids[] = {
      {"pad_id", {words.pad_id(), text.pad_id}},
      {"cls_id", {words.cls_id(), text.cls_id}},
      {"sep_id", {words.sep_id(), text.sep_id}},
      {"mask_id", {words.mask_id(), text.mask_id}}};
  for (const auto& [name, pair] : ids) {
    if (pair.first != pair.second) {
      throw DataError(vocabulary.string(),
                      fmt::format("model.text.{} is {} but the vocabulary says {}", name, pair.second, pair.first),
                      "Set the model's ids to the vocabulary's");
    }
  }
  return std::make_shared<const WordPiece>(std::move(words));
}

fs::path checkpoint_folder(const fs::path& folder) {
  if (fs::exists(folder / "recipe.toml")) return folder;
  const std::vector<FoundCheckpoint> found = list_checkpoints(folder);
  if (found.empty()) {
    throw DataError(folder.string(), "is neither a checkpoint (no recipe.toml) nor a run with checkpoints",
                    "Give a folder such as RUN/checkpoints/step-001000");
  }
  return found.back().path;
}

LoadedModel load_trained(const fs::path& folder, const std::string& device) {
  const fs::path checkpoint = checkpoint_folder(folder);
  LoadedModel loaded;
  load_recipe(loaded.recipe, checkpoint / "recipe.toml");
  loaded.recipe.finish();
  loaded.model = std::make_unique<Vicha>(loaded.recipe.model, 0);
  load_model(checkpoint / "model.safetensors", loaded.model->parameters());
  for (const std::string& part : loaded.recipe.freeze) loaded.model->freeze(part);
  loaded.model->to(choose_device(device));
  loaded.tokenizer = load_tokenizer(vocabulary_of(checkpoint, loaded.recipe), loaded.recipe.model.text);
  return loaded;
}

namespace {

/// W (E, D), b (E) such that W x + b has mean 0 and covariance 1 over the rows of x (n, D): principal directions,
/// largest variance first.
void whiten(const at::Tensor& x, const Linear& projection) {
  const at::Tensor rows = x.to(at::kDouble), mean = rows.mean(0), centred = rows - mean;
  const at::Tensor covariance = at::mm(centred.t(), centred) / std::max<std::int64_t>(1, rows.size(0) - 1);
  const auto [values, vectors] = at::linalg_eigh(covariance);
  const std::int64_t wanted = projection.weight.size(0), there = std::min(wanted, values.size(0));
  const at::Tensor largest = values.slice(0, values.size(0) - there).flip(0);
  const at::Tensor directions = vectors.slice(1, vectors.size(1) - there).flip(1);
  // Directions without variance are rounding noise: they are not blown up beyond a thousandth of the largest.
  const at::Tensor scale = largest.clamp_min(largest.max() * 1e-6).rsqrt();
  const at::Tensor weight = (directions * scale).t();
  at::Tensor w = projection.weight, b = projection.bias;
  w.slice(0, 0, there).copy_(weight);
  b.slice(0, 0, there).copy_(-at::mv(weight, mean));
}

}  // namespace

void whiten_text_projections(Vicha& model, const Tokens& captions) {
  const at::NoGradGuard guard;
  const std::int64_t count = captions.size(), levels = model.options().hierarchical_levels;
  std::vector<std::vector<at::Tensor>> hidden(static_cast<std::size_t>(levels) + 1);
  constexpr std::int64_t kChunk = 256;
  for (std::int64_t i = 0; i < count; i += kChunk) {
    const std::int64_t end = std::min(count, i + kChunk);
    const Tokens part{captions.ids.slice(0, i, end), {captions.lengths.begin() + i, captions.lengths.begin() + end}};
    const PackedText pack = PackedText::packed(part, model.device());
    const auto out = model.online.text.encode(pack.ids, pack.positions, pack.segments,
                                              at::tensor(pack.begin, at::kLong).to(model.device()),
                                              model.options().text.text_layers - levels, Dropout());
    for (std::size_t j = 0; j < out.hidden_rows.size(); ++j) hidden[j].push_back(out.hidden_rows[j].cpu());
  }
  for (std::int64_t j = 0; j < levels; ++j) {
    whiten(at::cat(hidden[static_cast<std::size_t>(j)]), model.text_proj_hidden[static_cast<std::size_t>(j)]);
  }
  whiten(at::cat(hidden.back()), model.online.text_proj);
  model.reset_momentum();
  log::info("text projections whiten the states of {} captions", count);
}

}  // namespace vicha
