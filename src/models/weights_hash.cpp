#include "models/weights_hash.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/sha256.h"
#include "base/threads.h"

namespace vicha {

std::string weights_sha256(const ParameterStore& store, std::string_view settings) {
  std::vector<const Parameter*> tensors;
  for (const Parameter& parameter : store.parameters()) tensors.push_back(&parameter);
  std::sort(tensors.begin(), tensors.end(), [](const Parameter* a, const Parameter* b) { return a->name < b->name; });
  // A digest of each, so that threads can share the work.
  std::vector<std::string> digests(tensors.size());
  for_each_index(tensors.size(), std::max(1, at::get_num_threads()), [&](std::size_t i) {
    const at::Tensor value = tensors[i]->value.detach().to(at::kCPU, at::kFloat).contiguous();
    Sha256 hash;
    hash.update(fmt::format("{} F32 {}\n", tensors[i]->name, fmt::join(value.sizes(), "x")));
    hash.update({static_cast<const char*>(value.data_ptr()), value.nbytes()});
    digests[i] = hash.hex();
  });
  Sha256 all;
  all.update(fmt::format("{}\n", settings));
  for (const std::string& digest : digests) all.update(digest);
  return all.hex();
}

std::string parameter_count(const ParameterStore& store) {
  double count = 0;
  for (const Parameter& parameter : store.parameters()) count += static_cast<double>(parameter.value.numel());
  return count < 1e6 ? fmt::format("{:.2g} M parameters", count * 1e-6)
                     : fmt::format("{:.0f} M parameters", count * 1e-6);
}

}  // namespace vicha
