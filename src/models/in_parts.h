// Sharing out images or texts among threads that each carry their part through a whole tower.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <cstdint>
#include <vector>

#include "models/image_pipeline.h"
#include "nn/kernel_choice.h"
#include "nn/precision.h"

namespace vicha {

/// Calls `part(begin, end)` for ranges of [0, count) that weigh about alike (`weight(i)` rows), at most tower_rows() a
/// thread: by several threads where there are rows enough for each, one after the other otherwise (the threads then
/// share the work of every product). Precision is the calling thread's.
template <class Weight, class Part>
void in_parts(std::int64_t count, const at::Device& device, const Weight& weight, const Part& part) {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < count; ++i) total += weight(i);
  const std::int64_t threads = device.is_cpu() && !at::in_parallel_region() ? at::get_num_threads() : 1;
  const std::int64_t most = threads * tower_rows(device), rounds = (total + most - 1) / most;
  const bool split = threads > 1 && total >= most / 4;
  const std::int64_t share = (total + rounds - 1) / rounds / (split ? threads : 1);
  std::vector<std::int64_t> bounds = {0};
  std::int64_t rows = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    rows += weight(i);
    if (rows >= share || i + 1 == count) bounds.push_back(i + 1), rows = 0;
  }
  const auto run = [&](std::int64_t begin, std::int64_t end) {
    for (auto p = static_cast<std::size_t>(begin); p < static_cast<std::size_t>(end); ++p)
      part(bounds[p], bounds[p + 1]);
  };
  const auto parts = static_cast<std::int64_t>(bounds.size()) - 1;
  if (!split) return run(0, parts);
  const bool bf16 = compute_type() == at::kBFloat16;
  kernel_choice();  // measured here, with all threads, rather than by one of several
  at::parallel_for(0, parts, 1, [&](std::int64_t begin, std::int64_t end) {
    const at::NoGradGuard no_grad;
    const Bf16Scope scope(bf16);
    run(begin, end);
  });
}

}  // namespace vicha
