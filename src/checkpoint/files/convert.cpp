#include "checkpoint/files/convert.h"

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/pickle/pickle_describe.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/safetensors/safetensors.h"

namespace vicha {
namespace {

/// Each name is written out whole, so many views of one storage could fill a disk from a small file. Tied weights and
/// their like stay far below this.
void require_proportion(const StateDict& tensors, const fs::path& from) {
  const std::uint64_t limit = 4 * fs::file_size(from) + (1 << 20);
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    bytes += static_cast<std::uint64_t>(tensor.numel()) * tensor.element_size();
    if (bytes > limit) {
      throw DataError(from.string(),
                      "holds many views of the same data: up to '" + name + "' they would take " +
                          std::to_string(bytes) + " bytes, far more than the file",
                      "Save what the model needs alone");
    }
  }
}

}  // namespace

Conversion convert_pth_to_safetensors(const fs::path& from, const fs::path& to) {
  const PickleValue root = read_pth(from);
  const ModelState model = locate_model_state(root, from.string());
  const StateDict tensors = find_model_state(root, from.string());
  require_proportion(tensors, from);
  write_safetensors(to, tensors, {{"format", "pt"}});
  Conversion done{tensors.size(), {}};
  if (holds_more(root, *model.dict)) {
    done.rest = fs::path(to).replace_extension(".rest.json");
    write_file_atomic(done.rest, describe_pickle(root, model.dict));
  }
  return done;
}

Conversion convert_safetensors_to_pth(const fs::path& from, const fs::path& to) {
  const StateDict tensors = without_extra(read_safetensors(from, nullptr, /*map=*/true));
  write_pth(to, tensors);
  return {tensors.size(), {}};
}

Conversion convert_weights(const fs::path& from, const fs::path& to) {
  const bool from_pth = looks_like_pth(from), to_safetensors = to.extension() == ".safetensors";
  if (from_pth != to_safetensors) {
    throw UsageError(from.string() + " is " + (from_pth ? "a PyTorch file" : "no PyTorch file") +
                     ", so the result is to end in " + (from_pth ? ".safetensors" : ".pth, .pt or .bin") + ", not as " +
                     to.string());
  }
  return from_pth ? convert_pth_to_safetensors(from, to) : convert_safetensors_to_pth(from, to);
}

StateDict without_extra(const StateDict& tensors) {
  StateDict weights;
  for (const auto& [name, tensor] : tensors) {
    if (!name.starts_with("vicha.pth/")) weights.set(name, tensor);
  }
  return weights;
}

}  // namespace vicha
