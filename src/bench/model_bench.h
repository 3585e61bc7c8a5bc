// `vicha bench pretrain` and `vicha bench retrieval-eval`: whole steps on synthetic data, with the output fields of
// bench/peer/bench_peer.py.
#pragma once

#include <string>

namespace vicha::bench {

struct PretrainBench {
  std::string config = "small";
  std::int64_t batch = 16, image_res = 256, steps = 6, warmup = 2, queue = 65536;
  std::string precision = "auto";  ///< auto, fp32, bf16
  bool profile = false;            ///< also report where the time goes
};
struct RetrievalBench {
  std::string config = "small";
  std::int64_t images = 64, captions = 320, k_test = 32, image_res = 256, batch = 16;
  std::string precision = "auto";
};

/// One line of JSON each. Throws UsageError on unknown names.
std::string bench_pretrain(const PretrainBench& options);
std::string bench_retrieval(const RetrievalBench& options);

}  // namespace vicha::bench
