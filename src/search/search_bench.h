// `vicha bench search`: the search itself, on synthetic vectors.
#pragma once

#include <cstdint>
#include <string>

#include "config/describe.h"

namespace vicha {

struct SearchBenchOptions {
  std::int64_t vectors = 1'000'000, width = 512, k = 10, queries = 20, topics = 1000;
  bool clusters = false;
  std::string folder;

  void describe(Visitor& v);
};

struct SearchBenchResult {
  double first_ms = 0;                   ///< just mapped: pages are found by the system as they are read
  double median_ms = 0, slowest_ms = 0;  ///< of the others
  double recall = 1;                     ///< of the k nearest; 1 where everything is compared
  std::int64_t looked_at = 0, bytes_scanned = 0;
  double build_seconds = 0;
};

/// Makes a store of vectors around random topics, its codes, and asks them for vectors near topics.
SearchBenchResult bench_search(const SearchBenchOptions& options);
/// The same as one line of JSON.
std::string search_bench_json(const SearchBenchOptions& options);

}  // namespace vicha
