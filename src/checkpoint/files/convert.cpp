#include "checkpoint/files/convert.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/printable.h"
#include "checkpoint/files/open.h"
#include "checkpoint/pickle/model_state.h"
#include "checkpoint/pickle/pickle_describe.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/safetensors/safetensors.h"
#include "checkpoint/tensors/finite.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

/// A name that nothing but the same description has: what the user keeps there must not be lost.
fs::path free_name(const fs::path& to, const std::string& description) {
  for (int i = 1;; ++i) {
    const fs::path name =
        fs::path(to).replace_extension(i == 1 ? ".rest.json" : ".rest." + std::to_string(i) + ".json");
    std::error_code none;
    if (!fs::exists(fs::symlink_status(name, none))) return name;
    const bool same = fs::is_regular_file(name, none) && fs::file_size(name, none) == description.size();
    if (same && read_file(name) == description) return name;
  }
}

void warn_of_bad_numbers(const StateDict& tensors, const fs::path& from) {
  std::size_t count = 0;
  std::string first;
  for (const auto& [name, tensor] : tensors) {
    if (is_finite(tensor)) continue;
    if (count++ == 0) first = name;
  }
  if (count == 0) return;
  log::warning(
      "{}: {} tensors hold NaN or an infinity, the first '{}'. They are converted as they are, but no model "
      "will be made of them",
      from.string(), count, printable(first));
}

}  // namespace

Conversion convert_pth_to_safetensors(const fs::path& from, const fs::path& to) {
  const PickleValue root = read_pth(from);
  const ModelState model = locate_model_state(root, from.string());
  const StateDict tensors = model_tensors(model);
  require_usable(tensors, from);
  warn_of_bad_numbers(tensors, from);
  Conversion done{tensors.size(), model.key.empty() ? "" : "its " + in_quotes(model.key), {}};
  for (const std::string& other : model.others) done.what += ", not its " + in_quotes(other);
  std::string description;
  if (holds_more(root, *model.dict)) {
    description = describe_pickle(root, model.dict, (1 << 20) + 4 * fs::file_size(from));
    done.rest = free_name(to, description);
  }
  write_safetensors(to, tensors, {{"format", "pt"}});
  if (!done.rest.empty()) write_file_atomic(done.rest, description);
  return done;
}

Conversion convert_safetensors_to_pth(const fs::path& from, const fs::path& to) {
  const StateDict tensors = without_extra(read_safetensors(from, nullptr, /*map=*/true));
  if (tensors.size() == 0) throw DataError(from.string(), "holds no tensors", "Give a file of weights");
  require_usable(tensors, from);
  warn_of_bad_numbers(tensors, from);
  write_pth(to, tensors);
  return {tensors.size(), "", {}};
}

namespace {

void require_other_file(const fs::path& from, const fs::path& to) {
  std::error_code none;
  if (!fs::equivalent(from, to, none)) return;
  throw UsageError(from.string() + " and " + to.string() + " are the same file: the result needs another name");
}

/// What is written follows the name's ending, so that no other file of a model, an index say, is replaced by weights.
void require_ending_of_weights(const fs::path& to) {
  for (const char* ending : {".safetensors", ".pth", ".pt", ".bin"}) {
    if (to.extension() == ending) return;
  }
  throw UsageError(to.string() + " is not a name of weights: it is to end in .safetensors, .pth, .pt or .bin");
}

/// Several files become one.
Conversion join_shards(const fs::path& from, const fs::path& to) {
  const Weights weights = open_weights(from, /*map=*/true);
  for (const fs::path& file : weights.files) require_other_file(file, to);
  warn_of_bad_numbers(weights.tensors, from);
  if (to.extension() == ".safetensors") {
    write_safetensors(to, weights.tensors, {{"format", "pt"}});
  } else {
    write_pth(to, weights.tensors);
  }
  return {weights.tensors.size(), weights.what, {}};
}

}  // namespace

Conversion convert_weights(const fs::path& from, const fs::path& to) {
  require_there(from);
  require_other_file(from, to);
  require_ending_of_weights(to);
  if (fs::is_directory(from) || is_shard_index(from)) return join_shards(from, to);
  const bool from_pth = is_pth_file(from), to_safetensors = to.extension() == ".safetensors";
  if (from_pth != to_safetensors) {
    if (from_pth) require_pth_archive(from);
    throw UsageError(from.string() + " is " + (from_pth ? "a PyTorch file" : "a safetensors file") +
                     ", so the result is to end in " + (from_pth ? ".safetensors" : ".pth, .pt or .bin") + ", not as " +
                     to.string());
  }
  try {
    return from_pth ? convert_pth_to_safetensors(from, to) : convert_safetensors_to_pth(from, to);
  } catch (...) {
    rethrow_named(from);
  }
}

StateDict without_extra(StateDict tensors) {
  const auto is_extra = [](const auto& entry) { return entry.first.starts_with("vicha.pth/"); };
  if (std::ranges::none_of(tensors, is_extra)) return tensors;
  StateDict weights;
  for (const auto& entry : tensors) {
    if (!is_extra(entry)) weights.set(entry.first, entry.second);
  }
  return weights;
}

}  // namespace vicha
