#include "tasks/host/model_files.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/read_folder.h"
#include "checkpoint/files/open.h"
#include "checkpoint/names/fusion_layers.h"
#include "checkpoint/names/load_report.h"
#include "checkpoint/names/names.h"
#include "checkpoint/safetensors/safetensors.h"
#include "config/serialize.h"
#include "nn/position.h"
#include "objectives/registry.h"
#include "tasks/host/aligned_start.h"
#include "tasks/host/feature_tower.h"
#include "tasks/host/fusion_start.h"
#include "tasks/host/picture_feed.h"
#include "tasks/host/recipe_files.h"
#include "train/checkpoint_folder.h"
#include "train/device.h"

namespace vicha {
namespace {

constexpr const char* kLayer = "text_encoder.bert.encoder.layer.";
// Of joint fusion: what makes a picture's rows tokens among the words.
constexpr const char* kImageEmbeddings = "text_encoder.bert.image_embeddings.**";
// A model on features may go on from one on pixels, and the reverse: what embeds the patches then starts anew.
constexpr const char *kPixelEmbed = "*.patch_embed.**", *kFeatureEmbed = "*.feature_embed.**";

/// Released tensors of the parameters that `chosen` takes.
template <class Chosen>
NamedTensors tensors_of(const ParameterStore& store, const Chosen& chosen) {
  NamedTensors result;
  for (const ParameterStore::Released& r : store.released()) {
    if (r.parameter < 0 || !chosen(store.parameters()[static_cast<std::size_t>(r.parameter)])) continue;
    result.emplace_back(r.name, store.view(r));
  }
  return result;
}

std::optional<PatchGrid> square_of(std::int64_t positions) {
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(positions - 1))));
  return positions > 1 && side * side == positions - 1 ? std::optional(PatchGrid{side, side}) : std::nullopt;
}

/// Position embeddings of pictures of another size, from `file`, for a model of `vit`. `grid`: of the file's patches,
/// if anything says so; otherwise they are a square.
auto interpolation(const std::string& file, const VitOptions& vit, std::optional<PatchGrid> grid = {}) {
  return [file, grid, to = PatchGrid{vit.rows(), vit.columns()}](const std::string& name, const at::Tensor& source,
                                                                 at::IntArrayRef shape) {
    if (!name.ends_with(".pos_embed") || source.dim() != 3 || source.size(2) != shape[2]) return at::Tensor();
    if (shape[1] != 1 + to.patches()) return at::Tensor();
    const std::optional<PatchGrid> from =
        grid && 1 + grid->patches() == source.size(1) ? grid : square_of(source.size(1));
    if (!from) {
      throw DataError(file,
                      fmt::format("tensor '{}' has {} positions, which are not [CLS] and a square of patches", name,
                                  source.size(1)),
                      "Give weights of square pictures with one token in front (no distillation token, no registers)");
    }
    return resize_positions(source.to(at::kFloat), *from, to);
  };
}

void say(std::string_view what, const std::string& file, const LoadReport& report) {
  log::info("{} from {}: {}", what, file, report.summary());
}

void initialise_vit(Vicha& model, const std::string& file) {
  const StateDict source = to_released_names(open_weights(file, true).tensors, file);
  const bool features = model.options().vit.reads_features();
  const LoadPolicy policy{
      .where = file,
      .allow_missing = features ? std::vector<std::string>{kFeatureEmbed} : std::vector<std::string>(),
      .allow_unexpected = features ? std::vector<std::string>{kPixelEmbed} : std::vector<std::string>(),
      .reshape = interpolation(file, model.options().vit),
      .remedy = "Give weights of the size that [model.vit] describes, or change that to theirs"};
  say("image encoder", file,
      load_into(tensors_of(model.parameters(), [](const Parameter& p) { return p.in("image"); }), source, policy));
}

/// The concept encoder begins as the text encoder's embeddings and first layers (method, section 2): both register the
/// same parts in the same order, as far as they reach.
void start_concepts_as_text(Vicha& model) {
  ParameterStore& store = model.parameters();
  std::vector<std::size_t> text, concepts;
  for (std::size_t i = 0; i < store.parameters().size(); ++i) {
    if (store.parameters()[i].in("text")) text.push_back(i);
    if (store.parameters()[i].in("concept_encoder")) concepts.push_back(i);
  }
  for (std::size_t i = 0; i < std::min(text.size(), concepts.size()); ++i) {
    store.value(concepts[i]).copy_(store.value(text[i]));
  }
}

/// Layers 0 … of the weights become text layers, then fusion layers, as far as they reach; cross-attention starts
/// fresh. Of a joint decoder layer k begins as their layer k, as text layer k does.
void initialise_text(Vicha& model, const std::string& file) {
  StateDict source = to_released_names(open_weights(file, true).tensors, file);
  std::int64_t layers = 0;
  while (source.contains(kLayer + std::to_string(layers) + ".output.dense.weight")) ++layers;
  const bool joint = model.options().fusion.joint();
  if (joint && layers >= model.options().text.text_layers) {
    layers = fill_joint_layers(source, model.options().text, layers, file);
  }
  LoadPolicy policy{
      .where = file,
      .allow_missing = {std::string(kLayer) + "*.crossattention.**", kImageEmbeddings, "text_encoder.cls.**"},
      .allow_unexpected = {"text_encoder.bert.pooler.**", "text_encoder.cls.**"},
      .remedy = "Give weights of the size that [model.text] describes, or change that to theirs"};
  const TextOptions& text = model.options().text;
  const std::int64_t images = joint ? 1 : model.options().fusion.images,
                     all = text.text_layers + images * text.fusion_layers;
  if (images > 1 && layers > text.text_layers) {
    const std::int64_t fusion = layers - text.text_layers;
    repeat_fusion_layers(source, {text.text_layers, fusion, images}, file);
    layers = text.text_layers + images * fusion;
  }
  for (std::int64_t i = 0; i < std::max(layers, all); ++i) {
    const std::string pattern = kLayer + std::to_string(i) + ".**";
    if (i >= layers) policy.allow_missing.push_back(pattern);
    if (i >= all) policy.allow_unexpected.push_back(pattern);
  }
  if (layers < text.text_layers) {
    throw DataError(file,
                    fmt::format("has {} layers, fewer than model.text.text_layers = {}", layers, text.text_layers),
                    "Lower model.text.text_layers or give a deeper BERT");
  }
  const auto is_bert = [](const Parameter& p) { return p.in("text") || p.in("fusion") || p.in("mlm_head"); };
  say("text encoder", file, load_into(tensors_of(model.parameters(), is_bert), source, policy));

  start_concepts_as_text(model);
}

/// Momentum copies that a file has not begin as copies of what they follow.
void start_missing_copies(ParameterStore& store, const LoadReport& report, const std::string& file) {
  const std::unordered_set<std::string> missing(report.missing.begin(), report.missing.end());
  std::unordered_map<std::int64_t, std::int64_t> original_of;
  for (const auto& [copy, original] : store.twins()) {
    original_of.emplace(static_cast<std::int64_t>(copy), static_cast<std::int64_t>(original));
  }
  std::int64_t started = 0;
  for (const ParameterStore::Released& r : store.released()) {
    const auto original = original_of.find(r.parameter);
    if (original == original_of.end() || !missing.contains(r.name)) continue;
    ParameterStore::Released source = r;
    source.parameter = original->second;
    store.view(r).copy_(store.view(source));
    ++started;
  }
  if (started > 0)
    log::info("{} momentum copies that {} does not have start as copies of the online model", started, file);
}

/// A file of weights, a checkpoint folder, or a run's folder: its last checkpoint.
std::string weights_of(const std::string& checkpoint) {
  if (!fs::is_directory(checkpoint)) return checkpoint;
  const fs::path folder = checkpoint_folder(checkpoint);
  if (root_string(folder / "recipe.toml", "task") == "align") {
    throw DataError(checkpoint, "is a run of `vicha align`: it has heads on frozen towers, not a model to go on with",
                    "Name it in init.heads instead of init.checkpoint");
  }
  return (folder / "model.safetensors").string();
}

/// Of the patches of a checkpoint of ours, whose recipe lies beside its weights.
std::optional<PatchGrid> grid_beside(const fs::path& weights) {
  const fs::path recipe = weights.parent_path() / "recipe.toml";
  if (weights.filename() != "model.safetensors" || !fs::exists(recipe)) return std::nullopt;
  try {
    const auto read = load_task_recipe(recipe);
    return PatchGrid{read->model.vit.rows(), read->model.vit.columns()};
  } catch (const DataError&) {
    return std::nullopt;  // of a program with tasks or objectives of its own: its weights may do all the same
  }
}

/// ALBEF, and a first model of ours, have no concepts; a checkpoint has the heads of its own objectives and task only;
/// models without momentum or queue start those anew. Released models that were fine-tuned for a task without contrast
/// have neither temperature nor projections.
LoadPolicy checkpoint_policy(const Vicha& model, const StateDict& source, const std::string& file) {
  const bool contrastive = source.contains("temp") || source.contains("vision_proj.weight");
  const ParameterStore& store = model.parameters();
  const VitOptions& vit = model.options().vit;
  LoadPolicy policy{
      .where = file,
      .allow_missing = {vit.reads_features() ? kFeatureEmbed : kPixelEmbed},
      .allow_unexpected = {"*_queue", vit.reads_features() ? kPixelEmbed : kFeatureEmbed,
                           // aligned heads, of which this model may have none
                           "image_head.**", "image_head_m.**", "text_head.**", "text_head_m.**", "image_features.*",
                           "image_features_m.*", "text_features.*", "text_features_m.*"},
      .reshape = interpolation(file, vit, grid_beside(file)),
      .remedy = "Give a checkpoint of the size that [model] describes, or change that to its"};
  for (const ParameterStore::Released& r : store.released()) {
    const bool is_buffer = r.parameter < 0;
    const Parameter* p = is_buffer ? nullptr : &store.parameters()[static_cast<std::size_t>(r.parameter)];
    const bool of_contrast = !is_buffer && (p->in("projections") || p->name == "temp");
    // A second name of weights that have one of their own needs not be there.
    if (is_buffer || r.is_alias || p->follower || p->in("concepts") || p->in("heads") ||
        (of_contrast && !contrastive)) {
      policy.allow_missing.push_back(r.name);
    }
  }
  for (const ObjectiveKind& kind : objective_kinds()) {
    policy.allow_unexpected.insert(policy.allow_unexpected.end(), kind.checkpoint_names.begin(),
                                   kind.checkpoint_names.end());
  }
  for (const TaskKind& kind : task_kinds()) {
    policy.allow_unexpected.insert(policy.allow_unexpected.end(), kind.checkpoint_names.begin(),
                                   kind.checkpoint_names.end());
  }
  return policy;
}

/// Heads and queues of another task or recipe may have other sizes under the same names (`cls_head` of three classes,
/// and of two): they are no use here, and the model's own start anew.
void leave_other_sizes(const ParameterStore& store, StateDict& source, const std::string& file) {
  std::int64_t left = 0;
  std::string first;
  // A momentum copy is in no scope; it is a head where what it follows is one.
  std::vector<std::size_t> original(store.parameters().size());
  std::iota(original.begin(), original.end(), std::size_t{0});
  for (const auto& [copy, followed] : store.twins()) original[copy] = followed;
  for (const ParameterStore::Released& r : store.released()) {
    const bool may = r.parameter < 0 || store.parameters()[original[static_cast<std::size_t>(r.parameter)]].in("heads");
    const at::Tensor theirs = source.find(r.name);
    if (!may || r.is_table || !theirs.defined() || theirs.sizes() == store.view(r).sizes()) continue;
    source.erase(r.name);
    if (left++ == 0) first = r.name;
  }
  if (left > 0) {
    log::info("{} tensors of heads and queues in {} have another size than the model's, which start anew: {}{}", left,
              file, first, left > 1 ? ", …" : "");
  }
}

/// `heads`: what aligned heads start as afterwards (init.heads); empty: the file must have those that the model has.
void initialise_all(TaskModel& task, const std::string& file, const std::string& heads) {
  Vicha& model = task.vicha();
  const Weights weights = open_weights(file, true);
  StateDict source = to_released_names(weights.tensors, file);
  ParameterStore& store = model.parameters();
  require_fusion_kind(model.options(), source, file);
  task.adapt_weights(source, file);
  leave_other_sizes(store, source, file);
  NamedTensors targets;
  for (const ParameterStore::Released& r : store.released()) {
    if (!r.is_table) targets.emplace_back(r.name, store.view(r));
  }
  const LoadReport report = load_into(targets, source, checkpoint_policy(model, source, file));
  require_temperature(model, file);
  say("model", file, report);
  const std::unordered_set<std::string> missing(report.missing.begin(), report.missing.end());
  if (heads.empty() && missing.contains("image_head.embed.weight")) {
    throw DataError(file, "has no aligned heads, and model.heads.enabled asks for some",
                    "Name a run of `vicha align` in init.heads, or set model.heads.enabled = false");
  }
  for (const auto& [name, tensor] : tensors_of(store, [](const Parameter& p) { return p.in("concept_encoder"); })) {
    if (!missing.contains(name)) continue;
    start_concepts_as_text(model);
    log::info("the concept encoder starts as the text encoder's first layers");
    break;
  }
  start_missing_copies(store, report, file);
  task.start_missing(missing);
}

}  // namespace

void require_temperature(const Vicha& model, std::string_view file) {
  const auto value = model.temperature().item<float>();
  if (value > 0.0F) return;
  throw DataError(file, fmt::format("tensor 'temp' is {}, and the temperature of the contrast is above 0", value),
                  "It is damaged, or of another kind of model: take another checkpoint");
}

namespace {

fs::path vocabulary_of(const fs::path& checkpoint, const TaskRecipe& recipe) {
  const fs::path kept = checkpoint / "vocab.txt";
  return fs::exists(kept) ? kept : fs::path(recipe.init.vocabulary);
}

}  // namespace

void initialise_model(TaskModel& model, const InitOptions& init) {
  const at::NoGradGuard guard;
  Vicha& vicha = model.vicha();
  if (!init.checkpoint.empty()) {
    initialise_all(model, weights_of(init.checkpoint), init.heads);
    if (!init.heads.empty()) start_as_heads(vicha, init.heads);
    return;
  }
  if (vicha.options().heads.enabled && init.heads.empty()) {
    throw UsageError(
        "model.heads.enabled: nothing says whose heads these are; name a run of `vicha align` in init.heads, or a "
        "checkpoint that has them in init.checkpoint");
  }
  if (!init.vit.empty()) initialise_vit(vicha, init.vit);
  if (!init.text.empty()) initialise_text(vicha, init.text);
  // No file has what the task has added.
  std::unordered_set<std::string> missing;
  for (const auto& [name, tensor] : tensors_of(vicha.parameters(), [](const Parameter& p) { return p.in("heads"); })) {
    missing.insert(name);
  }
  model.start_missing(missing);
  if (!init.heads.empty()) start_as_heads(vicha, init.heads);
  vicha.reset_momentum();
}

std::shared_ptr<const WordPiece> load_tokenizer(const fs::path& vocabulary, const TextOptions& text) {
  if (vocabulary.empty()) {
    throw UsageError(
        "no vocabulary: set init.vocabulary to BERT's vocab.txt (it comes with bert-base-uncased and with MiniLM)");
  }
  if (!fs::exists(vocabulary)) {
    throw DataError(vocabulary.string(), "is not there",
                    "init.vocabulary names it: BERT's vocab.txt, which comes with bert-base-uncased and with MiniLM");
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
  const fs::path& last = found.back().path;
  const fs::path judged = last / "task.safetensors";
  if (!fs::exists(judged)) return last;
  EarlyStop stop({}, [](std::int64_t) { return 0.0; });
  stop.load_state(read_safetensors(judged));
  if (!stop.best_step()) return last;
  const fs::path best = checkpoint_path(folder, *stop.best_step());
  return fs::exists(best / "recipe.toml") ? best : last;
}

void guard_checkpoint(const fs::path& folder) {
  const fs::path checkpoint = checkpoint_folder(folder);
  note_input_folder(checkpoint);
  std::error_code failed;
  const fs::path above = fs::canonical(checkpoint, failed).parent_path();
  if (failed || above.filename() != "checkpoints") return;
  for (const FoundCheckpoint& other : list_checkpoints(above.parent_path())) note_input_folder(other.path);
  for (const char* name : {"metrics.jsonl", "evaluations.jsonl", "run.lock"}) {
    const fs::path file = above.parent_path() / name;
    if (fs::is_regular_file(file, failed)) require_regular_file(file);
  }
}

LoadedModel load_trained(const fs::path& folder, const std::string& device, const TaskKind* asked) {
  const fs::path checkpoint = checkpoint_folder(folder);
  guard_checkpoint(checkpoint);
  LoadedModel loaded{load_task_recipe(checkpoint / "recipe.toml"), nullptr, nullptr};
  const TaskRecipe& recipe = *loaded.recipe;
  if (asked != nullptr && !asked->evaluates(recipe.task)) {
    throw DataError(checkpoint.string(), fmt::format("is a model of the task '{}', not '{}'", recipe.task, asked->key),
                    fmt::format("Give one that was trained for it: vicha finetune {} RECIPE --out RUN, with "
                                "init.checkpoint = \"{}\"",
                                asked->key, folder.string()));
  }
  const TaskKind& kind = *find_task_kind(recipe.task);
  if (!kind.make_model) {
    throw DataError(checkpoint.string(),
                    fmt::format("is a model of the task '{}', which has no encoders of its own", recipe.task),
                    "Where a model is wanted give one of `vicha pretrain`; where a source of concepts is, "
                    "aligned:RUN");
  }
  loaded.parts = kind.make_model(recipe, 0);
  Vicha& vicha = loaded.vicha();
  load_model(checkpoint / "model.safetensors", vicha.parameters());
  require_temperature(vicha, (checkpoint / "model.safetensors").string());
  for (const std::string& part : recipe.freeze) vicha.freeze(part);
  vicha.to(choose_device(device));
  loaded.tokenizer = load_tokenizer(vocabulary_of(checkpoint, recipe), recipe.model.text);
  if (recipe.model.vit.reads_features()) {
    const std::optional<FeatureTower> tower = feature_tower_of(checkpoint);
    if (!tower) {
      throw DataError((checkpoint / kFeatureTowerFile).string(),
                      "is not there, so nothing says whose features the model reads",
                      "The checkpoint is damaged; use another one");
    }
    loaded.tower = tower->weights;
  }
  return loaded;
}

EvaluateResult evaluate_trained(const TaskKind& kind, const EvaluateCommand& command) {
  const AnyOptions<TaskRecipe> recipe = load_task_recipe(checkpoint_folder(command.checkpoint) / "recipe.toml");
  const TaskKind& trained = *find_task_kind(recipe->task);
  if (trained.evaluate_as) return trained.evaluate_as(kind, command);
  LoadedModel loaded = load_trained(command.checkpoint, command.device, &kind);
  if (!command.tower.empty()) set_tower(loaded, command.tower);
  return kind.evaluate(loaded, command);
}

}  // namespace vicha
