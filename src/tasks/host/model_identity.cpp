#include "tasks/host/model_identity.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace vicha {

Sha256 hash_of_parameters(const Vicha& model, const std::function<bool(const Parameter& parameter)>& counts) {
  const ParameterStore& store = model.parameters();
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const ParameterStore::Released& r : store.released()) {
    if (r.is_alias || r.parameter < 0) continue;
    if (counts(store.parameters()[static_cast<std::size_t>(r.parameter)])) {
      tensors.emplace_back(r.name, store.view(r));
    }
  }
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Sha256 hash;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor values = tensor.to(at::kCPU).contiguous();
    hash.update(
        fmt::format("{} {} [{}]\n", name, c10::toString(values.scalar_type()), fmt::join(values.sizes(), ", ")));
    hash.update({static_cast<const char*>(values.const_data_ptr()), values.nbytes()});
  }
  return hash;
}

std::string checkpoint_name(const std::filesystem::path& folder) {
  const std::filesystem::path path = std::filesystem::absolute(folder).lexically_normal();
  const std::filesystem::path last = path.has_filename() ? path : path.parent_path();
  const std::filesystem::path above = last.parent_path();
  if (above.filename() != "checkpoints") return last.filename().string();
  return fmt::format("{}, {}", above.parent_path().filename().string(), last.filename().string());
}

}  // namespace vicha
