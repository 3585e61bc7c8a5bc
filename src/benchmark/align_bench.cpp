#include "benchmark/align_bench.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "benchmark/measures.h"
#include "nn/kernel_choice.h"

namespace vicha::bench {

std::string bench_align(const AlignBench& options) {
  const AlignBenchResult run = bench_align_steps(options);
  nlohmann::json result = {{"task", "align"},
                           {"loss", name_of(kContrastLossNames, options.loss)},
                           {"batch", options.batch},
                           {"pairs", options.pairs},
                           {"embed_dim", options.embed_dim},
                           {"blocks", options.blocks},
                           {"steps", run.seconds.size()},
                           {"precision", run.bf16 ? "bf16" : "fp32"},
                           {"threads", at::get_num_threads()},
                           {"kernels", kernel_choice().describe()}};
  result["samples_per_s"] = rounded(run.samples_per_s, 1);
  result["seconds_per_step"] = rounded(median(run.seconds), 5);
  result["best_seconds"] = rounded(*std::min_element(run.seconds.begin(), run.seconds.end()), 5);
  result["seconds_per_million"] = rounded(1e6 / run.samples_per_s, 1);
  result["peak_rss_gib"] = peak_rss_gib();
  return result.dump();
}

}  // namespace vicha::bench
