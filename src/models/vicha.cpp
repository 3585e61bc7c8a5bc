#include "models/vicha.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "nn/kernels.h"

namespace vicha {
namespace {

const ModelOptions& checked(const ModelOptions& options) {
  options.check();
  return options;
}

}  // namespace

Vicha::Vicha(const ModelOptions& options, std::uint64_t seed)
    : options_(checked(options)),
      store_(seed),
      encoders_(store_.add_twins([&](const std::string& suffix) { return Encoders(store_, options_, suffix); })),
      temperature_(store_.add("temp", {}, Init::kZeros)),
      queue_(store_, options.embed_dim, options.queue_size, mix_seed({seed, 1})) {
  const at::NoGradGuard guard;
  temperature_.fill_(options.temperature);
}

void Vicha::reset_momentum() {
  const at::NoGradGuard guard;
  for (const auto& [copy, original] : store_.twins()) store_.value(copy).copy_(store_.value(original));
}

void Vicha::update_momentum() {
  const at::NoGradGuard guard;
  const float rate = static_cast<float>(1.0 - options_.momentum);
  std::vector<at::Tensor> copies, originals;
  for (const auto& [copy, original] : store_.twins()) {
    // The copy of a parameter that does not learn has been equal to it from the start.
    if (!store_.value(original).requires_grad()) continue;
    copies.push_back(store_.value(copy));
    originals.push_back(store_.value(original));
  }
  if (!temperature_.is_cpu()) {
    if (!copies.empty()) at::_foreach_lerp_(copies, originals, rate);
    return;
  }
  // One parallel region over all parameters: cut into runs so that threads get equal shares.
  struct Run {
    float* copy;
    const float* original;
    std::int64_t n;
  };
  constexpr std::int64_t kRun = 1 << 16;
  std::vector<Run> runs;
  for (std::size_t i = 0; i < copies.size(); ++i) {
    const std::int64_t n = copies[i].numel();
    for (std::int64_t at = 0; at < n; at += kRun) {
      runs.push_back(
          {copies[i].data_ptr<float>() + at, originals[i].const_data_ptr<float>() + at, std::min(kRun, n - at)});
    }
  }
  at::parallel_for(0, static_cast<std::int64_t>(runs.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Run& run = runs[static_cast<std::size_t>(i)];
      kernels::ema_row(run.copy, run.original, rate, run.n);
    }
  });
}

void Vicha::clamp_temperature() {
  const at::NoGradGuard guard;
  temperature_.clamp_(0.001, 0.5);
}

void Vicha::freeze(std::string_view scope) {
  std::vector<std::string> scopes = store_.scopes();
  // A recipe may freeze concepts and be told to go on without them.
  if (!options_.concepts.enabled) scopes.insert(scopes.end(), {"concepts", "concept_encoder"});
  if (std::ranges::find(scopes, scope) == scopes.end()) {
    throw UsageError(fmt::format("freeze: unknown part '{}': one of {}", scope, fmt::join(scopes, ", ")));
  }
  store_.freeze(scope);
}

}  // namespace vicha
