// `vicha bench pretrain` and `vicha bench retrieval-eval`: whole steps on synthetic data, with the output fields of
// bench/peer/bench_peer.py.
#pragma once

#include <cstdint>
#include <string>

#include "config/describe.h"

namespace vicha::bench {

struct PretrainBench {
  std::string config = "small";
  std::int64_t batch = 16, image_res = 256, steps = 6, warmup = 2, queue = 65536;
  std::string precision = "auto";
  bool profile = false;

  void describe(Visitor& v) {
    v.field({.key = "config", .meaning = "small or base"}, config);
    v.field({.key = "batch", .min = 1, .max = 1 << 20}, batch);
    v.field({.key = "image_res", .min = 16, .max = 4096}, image_res);
    v.field({.key = "steps", .min = 1, .max = 1 << 20}, steps);
    v.field({.key = "warmup", .min = 0, .max = 1 << 20}, warmup);
    v.field({.key = "queue", .min = 1, .max = 1 << 30}, queue);
    v.field({.key = "precision", .meaning = "auto, fp32 or bf16"}, precision);
    v.field({.key = "profile", .meaning = "Also the parts of a step"}, profile);
  }
};
struct RetrievalBench {
  std::string config = "small";
  std::int64_t images = 64, captions = 320, k_test = 32, image_res = 256, batch = 16;
  std::string precision = "auto";

  void describe(Visitor& v) {
    v.field({.key = "config", .meaning = "small or base"}, config);
    v.field({.key = "images", .min = 1, .max = 1 << 20}, images);
    v.field({.key = "captions", .min = 1, .max = 1 << 20}, captions);
    v.field({.key = "k_test", .min = 1, .max = 1 << 20}, k_test);
    v.field({.key = "image_res", .min = 16, .max = 4096}, image_res);
    v.field({.key = "batch", .min = 1, .max = 1 << 20}, batch);
    v.field({.key = "precision", .meaning = "auto, fp32 or bf16"}, precision);
  }
};

/// One line of JSON each. Throws UsageError on unknown names.
std::string bench_pretrain(const PretrainBench& options);
std::string bench_retrieval(const RetrievalBench& options);

}  // namespace vicha::bench
