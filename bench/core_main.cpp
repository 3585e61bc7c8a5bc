// vicha_core_bench pretrain|retrieval-eval [--key value …]: the model benchmarks of a core-only build.
#include <ATen/Parallel.h>

#include <cstdio>
#include <exception>
#include <map>
#include <string>

#include "base/error.h"
#include "base/memory.h"
#include "bench/model_bench.h"
#include "nn/precision.h"

namespace {

using vicha::UsageError;

std::string run(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 2; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  const auto text = [&](const char* key, std::string& value) {
    if (const auto at = given.find(key); at != given.end()) value = at->second, given.erase(at);
  };
  const auto number = [&](const char* key, std::int64_t& value) {
    std::string digits = std::to_string(value);
    text(key, digits);
    value = std::stoll(digits);
  };
  std::int64_t threads = at::get_num_threads();
  number("--threads", threads);
  at::set_num_threads(static_cast<int>(threads));
  const std::string task = argc > 1 ? argv[1] : "";
  const auto nothing_left = [&] {
    if (!given.empty()) throw UsageError("unknown option " + given.begin()->first);
  };
  if (task == "pretrain") {
    vicha::bench::PretrainBench b;
    text("--config", b.config);
    text("--precision", b.precision);
    number("--batch", b.batch);
    number("--image-res", b.image_res);
    number("--steps", b.steps);
    number("--warmup", b.warmup);
    nothing_left();
    b.profile = true;
    return vicha::bench::bench_pretrain(b);
  }
  if (task == "retrieval-eval") {
    vicha::bench::RetrievalBench b;
    text("--config", b.config);
    text("--precision", b.precision);
    number("--images", b.images);
    number("--captions", b.captions);
    number("--k-test", b.k_test);
    number("--image-res", b.image_res);
    number("--batch", b.batch);
    nothing_left();
    return vicha::bench::bench_retrieval(b);
  }
  throw UsageError(
      "usage: vicha_core_bench pretrain|retrieval-eval [--config small|base] [--batch N] [--image-res R] …");
}

}  // namespace

int main(int argc, char** argv) {
  vicha::flush_denormals();
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
