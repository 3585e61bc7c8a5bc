// How fast heads train on synthetic stored features: gather, heads, contrast, backward pass, update.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "align/align_options.h"
#include "config/describe.h"

namespace vicha::bench {

struct AlignBench {
  std::int64_t pairs = 65536, image_width = 512, text_width = 384, embed_dim = 512, blocks = 1, batch = 1024,
               steps = 20, warmup = 3, captions = 1;
  ContrastLoss loss = ContrastLoss::kInfoNce;
  std::string precision = "auto";

  void describe(Visitor& v) {
    v.field({.key = "pairs", .meaning = "Stored pairs, fp16", .min = 2, .max = 1 << 26}, pairs);
    v.field({.key = "image_width", .min = 1, .max = 1 << 16}, image_width);
    v.field({.key = "text_width", .min = 1, .max = 1 << 16}, text_width);
    v.field({.key = "embed_dim", .min = 2, .max = 8192}, embed_dim);
    v.field({.key = "blocks", .meaning = "Residual blocks of a head", .min = 0, .max = 64}, blocks);
    v.field({.key = "batch", .min = 2, .max = 1 << 20}, batch);
    v.field({.key = "steps", .meaning = "Steps that are timed; 0: one epoch", .min = 0, .max = 1 << 20}, steps);
    v.field({.key = "warmup", .min = 0, .max = 1 << 20}, warmup);
    v.field(
        {.key = "captions", .meaning = "Pairs that share a text: positives of each other", .min = 1, .max = 1 << 20},
        captions);
    v.choice({.key = "loss"}, loss, kContrastLossNames);
    v.field({.key = "precision", .meaning = "auto, fp32 or bf16"}, precision);
  }
};

struct AlignBenchResult {
  std::vector<double> seconds;  ///< of each timed step
  double samples_per_s = 0.0;   ///< over all of them
  double last_loss = 0.0;
  bool bf16 = false;
};

/// Throws UsageError on an unknown precision or fewer pairs than a batch.
AlignBenchResult bench_align_steps(const AlignBench& options);

}  // namespace vicha::bench
