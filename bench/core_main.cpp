// vicha_core_bench pretrain|retrieval-eval|align [--key value …]: the model benchmarks of a core-only build.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include "base/error.h"
#include "base/memory.h"
#include "benchmark/align_bench.h"
#include "benchmark/model_bench.h"
#include "config/serialize.h"
#include "nn/precision.h"

namespace {

using vicha::UsageError;

struct Threads {
  std::int64_t threads = at::get_num_threads();

  void describe(vicha::Visitor& v) { v.field({.key = "threads", .min = 1, .max = 1 << 16}, threads); }
};

/// A benchmark and its number of threads, as `--key value …` give them: `--image-res` is the field `image_res`.
template <class Benchmark>
std::string run(std::string (*benchmark)(const Benchmark&), int argc, char** argv) {
  struct : Benchmark, Threads {
    void describe(vicha::Visitor& v) {
      Threads::describe(v);
      Benchmark::describe(v);
    }
  } options;
  if constexpr (requires { options.profile; }) options.profile = true;
  for (int i = 2; i < argc; i += 2) {
    std::string key = argv[i];
    if (!key.starts_with("--") || i + 1 == argc) throw UsageError(key + ": options are --key value");
    key.erase(0, 2);
    std::replace(key.begin(), key.end(), '-', '_');
    vicha::apply_override(options, key + "=" + argv[i + 1]);
  }
  at::set_num_threads(static_cast<int>(options.threads));
  return benchmark(options);
}

std::string run(int argc, char** argv) {
  const std::string task = argc > 1 ? argv[1] : "";
  if (task == "pretrain") return run(vicha::bench::bench_pretrain, argc, argv);
  if (task == "retrieval-eval") return run(vicha::bench::bench_retrieval, argc, argv);
  if (task == "align") return run(vicha::bench::bench_align, argc, argv);
  throw UsageError(
      "usage: vicha_core_bench pretrain|retrieval-eval|align [--config small|base] [--batch N] [--image-res R] …");
}

}  // namespace

int main(int argc, char** argv) {
  vicha::flush_denormals();
  vicha::fix_product_threads();
  vicha::keep_freed_memory();
  try {
    std::printf("%s\n", run(argc, argv).c_str());
    return 0;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
