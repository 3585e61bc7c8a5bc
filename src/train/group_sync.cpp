#include "train/group_sync.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <vector>

#include "base/error.h"

namespace vicha {

void require_same_start(const Group& group, std::int64_t step, std::int64_t batches_per_epoch) {
  const std::vector<std::int64_t> steps = group.all_gather(step), batches = group.all_gather(batches_per_epoch);
  for (std::size_t rank = 1; rank < steps.size(); ++rank) {
    if (steps[rank] == steps[0] && batches[rank] == batches[0]) continue;
    throw Error(
        fmt::format("process {} would start at step {} with {} batches an epoch, process 0 at step {} with {}: all "
                    "must see the same checkpoints and the same data. Use folders that they share",
                    rank, steps[rank], batches[rank], steps[0], batches[0]));
  }
}

void broadcast_weights(const Group& group, const ParameterStore& store) {
  if (group.is_alone()) return;
  for (const ParameterStore::Released& r : store.released()) {
    if (!r.is_alias) group.broadcast(store.view(r), 0);
  }
}

void average_gradients(const Group& group, const ParameterStore& store) {
  if (group.is_alone()) return;
  const auto& parameters = store.parameters();
  const auto count = static_cast<std::int64_t>(parameters.size());
  const at::Tensor owners = at::zeros({count}, at::kInt);  // how many ranks have a gradient of each
  int* owned = owners.data_ptr<int>();
  for (std::size_t i = 0; i < parameters.size(); ++i) owned[i] = parameters[i].value.grad().defined() ? 1 : 0;
  group.all_reduce_sum(owners);
  std::vector<at::Tensor> gradients;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (owned[i] == 0) continue;
    at::Tensor& gradient = parameters[i].value.mutable_grad();
    gradient = gradient.defined() ? gradient.contiguous() : at::zeros_like(parameters[i].value);
    gradients.push_back(gradient);
  }
  group.all_reduce_mean(gradients);
}

}  // namespace vicha
