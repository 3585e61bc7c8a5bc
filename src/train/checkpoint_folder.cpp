#include "train/checkpoint_folder.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/temporary.h"
#include "checkpoint/safetensors/safetensors.h"
#include "checkpoint/tensors/finite.h"
#include "train/config_changes.h"
#include "train/state_file.h"

namespace vicha {
namespace {

constexpr std::string_view kPrefix = "step-";
constexpr const char *kModel = "model.safetensors", *kOptimizer = "optimizer.safetensors", *kTask = "task.safetensors",
                     *kState = "state.json", *kConfig = "config.json", *kRecipe = "recipe.toml";
constexpr std::string_view kConvertedCopy =
    "It is a copy in another precision, and a run goes on from the very numbers it had: resume from the checkpoint as "
    "it was written, or start a new run from this one (init.checkpoint)";
constexpr std::string_view kOtherModel =
    "The checkpoint is of another model; use the recipe.toml that lies beside it, or start anew with --resume none";

fs::path checkpoints(const fs::path& out) { return out / "checkpoints"; }

std::optional<std::int64_t> number(std::string_view digits) {
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (failed != std::errc() || end != digits.data() + digits.size() || value < 0) return std::nullopt;
  return value;
}

StateDict model_tensors(const ParameterStore& store) {
  StateDict tensors;
  for (const ParameterStore::Released& r : store.released()) tensors.set(r.name, store.view(r));
  return tensors;
}

/// `what` is empty for the model's weights.
void require_finite(const StateDict& tensors, std::string_view what, std::int64_t step) {
  for (const auto& [name, tensor] : tensors) {
    if (is_finite(tensor)) continue;
    throw Error(
        fmt::format("step {}: {}tensor '{}' holds NaN or infinite values, so it was not saved. Lower optimizer.lr "
                    "or set optimizer.clip_norm, and resume from an earlier checkpoint, or start again where there is "
                    "none",
                    step, what, printable(name)));
  }
}

void require_finite(const at::Tensor& tensor, const std::string& name, const fs::path& file) {
  if (is_finite(tensor)) return;
  throw DataError(file.string(), fmt::format("tensor '{}' holds NaN or an infinity", printable(name)),
                  "The run that wrote it had diverged, or the file is damaged: take an earlier checkpoint");
}

void require_finite(const StateDict& tensors, const fs::path& file) {
  for (const auto& [name, tensor] : tensors) require_finite(tensor, name, file);
}

/// Of tensors in the order of store.released(), as they will be in the model: converted, a number may be too large.
void require_finite(const std::vector<at::Tensor>& tensors, const ParameterStore& store, const fs::path& file) {
  for (std::size_t i = 0; i < tensors.size(); ++i) require_finite(tensors[i], store.released()[i].name, file);
}

void require_same_config(const fs::path& folder, const std::string& config, const std::string& defaults,
                         const std::vector<MovedKey>& moved, const std::vector<std::string>& may_change) {
  const fs::path file = folder / kConfig;
  std::string refused;
  for (const ConfigChange& change : config_changes(read_file(file), config, file.string(), moved, defaults)) {
    if (matches_key(change.key, may_change)) {
      log::warning("{}: {}. The run goes on, but is not the one it would have been", file.string(), change.description);
    } else {
      refused += (refused.empty() ? "" : "; ") + change.description;
    }
  }
  if (refused.empty()) return;
  throw DataError(file.string(), "was made with another recipe: " + refused,
                  "Put the values back, or start a new run with --resume none or another --out");
}

/// "a, b, c and 12 more"
std::string listed(const std::vector<std::string>& items) {
  constexpr std::size_t kShown = 5;
  const auto shown = static_cast<std::ptrdiff_t>(std::min(items.size(), kShown));
  std::string text = fmt::format("{}", fmt::join(items.begin(), items.begin() + shown, ", "));
  if (items.size() > kShown) text += fmt::format(" and {} more", items.size() - kShown);
  return text;
}

std::string type_and_shape(const at::Tensor& tensor) {
  return fmt::format("{} ({})", c10::toString(tensor.scalar_type()), fmt::join(tensor.sizes(), ", "));
}

/// What a copy in another precision may be for.
enum class OtherFloats { kRefused, kConverted };

/// The stored tensors in the order of store.released(), of the store's types; checks them all before anything is
/// copied.
std::vector<at::Tensor> matched(const fs::path& file, const StateDict& stored, const ParameterStore& store,
                                OtherFloats other_floats) {
  std::vector<std::string> missing, other, unexpected, converted;
  bool other_shapes = false;
  std::unordered_set<std::string> known;
  std::vector<at::Tensor> tensors;
  for (const ParameterStore::Released& r : store.released()) {
    known.insert(r.name);
    const at::Tensor here = store.view(r), there = stored.find(r.name);
    tensors.push_back(there);
    if (!there.defined()) {
      missing.push_back(r.name);
    } else if (there.sizes() == here.sizes() && there.scalar_type() == here.scalar_type()) {
      continue;
    } else if (other_floats == OtherFloats::kConverted && there.sizes() == here.sizes() && there.is_floating_point() &&
               here.is_floating_point()) {
      tensors.back() = there.to(here.scalar_type());
      converted.push_back(fmt::format("{} of {}", r.name, c10::toString(there.scalar_type())));
    } else {
      other_shapes = other_shapes || there.sizes() != here.sizes() || !there.is_floating_point();
      other.push_back(fmt::format("{} is {}, expected {}", r.name, type_and_shape(there), type_and_shape(here)));
    }
  }
  for (const auto& [name, tensor] : stored) {
    if (!known.contains(name)) unexpected.push_back(name);
  }
  std::vector<std::string> wrong;
  if (!missing.empty()) wrong.push_back("tensors missing: " + listed(missing));
  if (!other.empty()) wrong.push_back("of another shape or type: " + listed(other));
  if (!unexpected.empty()) wrong.push_back("not of this model: " + listed(unexpected));
  if (!wrong.empty()) {
    const bool copy = missing.empty() && unexpected.empty() && !other_shapes;
    throw DataError(file.string(), fmt::format("{}", fmt::join(wrong, "; ")), copy ? kConvertedCopy : kOtherModel);
  }
  if (!converted.empty()) {
    log::info("{}: is a copy in another precision; {} of {} tensors were converted ({})", file.string(),
              converted.size(), tensors.size(), listed(converted));
  }
  require_finite(tensors, store, file);
  return tensors;
}

void copy_into(ParameterStore& store, const std::vector<at::Tensor>& tensors) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const ParameterStore::Released& r = store.released()[i];
    if (!r.is_alias) store.view(r).copy_(tensors[i]);
  }
}

}  // namespace

std::vector<FoundCheckpoint> list_checkpoints(const fs::path& out) {
  std::vector<FoundCheckpoint> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(checkpoints(out), none)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const auto step = number(std::string_view(name).substr(kPrefix.size()));
    if (step && fs::exists(entry.path() / kState, none)) found.push_back({*step, entry.path()});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return found;
}

fs::path checkpoint_path(const fs::path& out, std::int64_t step) {
  return checkpoints(out) / fmt::format("{}{:06d}", kPrefix, step);
}

fs::path save_checkpoint(const fs::path& out, Task& task, const AdamW& optimizer, const TrainState& state) {
  const fs::path path = checkpoint_path(out, state.step);
  const StateDict model = model_tensors(task.parameters());
  require_finite(model, "", state.step);
  StateDict optimizer_state, task_state;
  optimizer.save_state(optimizer_state);
  task.save_state(task_state);
  require_finite(optimizer_state, "the optimizer's ", state.step);
  require_finite(task_state, "the task's ", state.step);
  const std::string config = task.config_json();
  try {
    AtomicFolder folder(path);
    write_safetensors(folder.path() / kModel, model, {{"format", "pt"}});
    write_safetensors(folder.path() / kOptimizer, optimizer_state);
    write_safetensors(folder.path() / kTask, task_state);
    write_file_atomic(folder.path() / kConfig, config);
    write_file_atomic(folder.path() / kRecipe, task.recipe_toml());
    for (const auto& [name, content] : task.checkpoint_files()) write_file_atomic(folder.path() / name, content);
    write_file_atomic(folder.path() / kState, state_json(state, config));
    folder.commit();
  } catch (const std::exception& e) {
    throw Error(fmt::format("{}: the checkpoint could not be saved: {}. Earlier checkpoints are as they were",
                            path.string(), e.what()));
  }
  return path;
}

TrainState load_checkpoint(const fs::path& folder, Task& task, AdamW& optimizer,
                           const std::vector<std::string>& may_change) {
  const TrainState state = read_state(folder / kState);
  const std::string name = fs::absolute(folder / "").lexically_normal().parent_path().filename().string();
  const auto named = name.starts_with(kPrefix) ? number(std::string_view(name).substr(kPrefix.size())) : std::nullopt;
  if (named && *named != state.step) {
    throw DataError((folder / kState).string(),
                    fmt::format("\"step\" is {}, but the checkpoint is called {}", state.step, name),
                    "One of the two was changed: use another checkpoint");
  }
  require_same_config(folder, task.config_json(), task.default_config_json(), task.moved_keys(), may_change);
  const StateDict model = read_safetensors(folder / kModel, nullptr, /*map=*/true);
  const std::vector<at::Tensor> weights = matched(folder / kModel, model, task.parameters(), OtherFloats::kRefused);
  const StateDict optimizer_state = read_safetensors(folder / kOptimizer, nullptr, /*map=*/true);
  const StateDict task_state = read_safetensors(folder / kTask);
  require_finite(optimizer_state, folder / kOptimizer);
  require_finite(task_state, folder / kTask);
  optimizer.load_state(optimizer_state, (folder / kOptimizer).string());
  task.load_state(task_state);
  copy_into(task.parameters(), weights);
  task.check_weights((folder / kModel).string());
  return state;
}

void load_model(const fs::path& file, ParameterStore& store) {
  const StateDict model = read_safetensors(file, nullptr, /*map=*/true);
  copy_into(store, matched(file, model, store, OtherFloats::kConverted));
}

void prune_checkpoints(const fs::path& out, std::int64_t keep, std::optional<std::int64_t> also) {
  if (keep == 0) return;
  const std::vector<FoundCheckpoint> found = list_checkpoints(out);
  for (std::int64_t i = 0; i + keep < static_cast<std::int64_t>(found.size()); ++i) {
    // Renamed first: a name must not stand for a folder that is half removed.
    const auto& [step, path] = found[static_cast<std::size_t>(i)];
    if (step == also) continue;
    const fs::path going = vanishing_name(path);
    std::error_code failed;
    fs::rename(path, going, failed);
    if (!failed) fs::remove_all(going, failed);
    if (failed) log::warning("{}: cannot remove the old checkpoint ({})", path.string(), failed.message());
  }
}

void set_aside_checkpoints(const fs::path& out, std::int64_t step) {
  for (const FoundCheckpoint& found : list_checkpoints(out)) {
    if (found.step <= step) continue;
    const fs::path aside = found.path.parent_path() / ("superseded-" + found.path.filename().string());
    std::error_code failed;
    fs::remove_all(aside, failed);
    fs::rename(found.path, aside, failed);
    if (failed)
      throw Error(found.path.string() + ": cannot rename to " + aside.string() + " (" + failed.message() + ")");
    log::warning("{}: the run starts over before it; set aside as {}", found.path.string(), aside.filename().string());
  }
}

void remove_run_leftovers(const fs::path& out) {
  for (const fs::path& folder : {out, checkpoints(out)}) remove_leftovers(folder);
}

}  // namespace vicha
