#include "models/picture_pipeline.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "nn/kernel_choice.h"
#include "nn/precision.h"

namespace vicha {

void PicturePipeline::run(std::int64_t count) const {
  VICHA_ASSERT(side > 0 && batch > 0);
  const std::int64_t threads = at::get_num_threads();
  const bool bf16 = compute_type() == at::kBFloat16;
  std::mutex taking, finishing;
  std::int64_t next = 0;
  // Smaller batches towards the end, so that all threads finish together.
  const auto take = [&]() -> std::pair<std::int64_t, std::int64_t> {
    const std::lock_guard lock(taking);
    const std::int64_t size = std::clamp<std::int64_t>((count - next) / (2 * threads), 1, batch);
    const std::int64_t begin = next, end = std::min(count, begin + size);
    next = end;
    return {begin, end};
  };
  const auto work = [&] {
    const at::NoGradGuard no_grad;
    const Bf16Scope scope(bf16);
    const at::Tensor pixels = at::empty({std::min(batch, std::max<std::int64_t>(count, 1)), 3, side, side}, at::kFloat);
    const std::size_t size = static_cast<std::size_t>(3 * side * side);
    std::vector<std::int64_t> pictures;
    for (auto [begin, end] = take(); begin < end; std::tie(begin, end) = take()) {
      pictures.clear();
      for (std::int64_t i = begin; i < end; ++i) {
        const std::span<float> out(pixels.data_ptr<float>() + pictures.size() * size, size);
        if (read(i, out)) pictures.push_back(i);
      }
      if (pictures.empty()) continue;
      const at::Tensor rows = encode(pixels.slice(0, 0, static_cast<std::int64_t>(pictures.size())));
      const std::lock_guard lock(finishing);
      done(pictures, rows);
    }
  };
  kernel_choice();  // measured here, with all threads, rather than by one of several
  at::parallel_for(0, threads, 1, [&](std::int64_t, std::int64_t) {
    try {
      work();
    } catch (...) {
      const std::lock_guard lock(taking);
      next = count;
      throw;
    }
  });
}

}  // namespace vicha
