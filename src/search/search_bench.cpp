#include "search/search_bench.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "base/files.h"
#include "base/random.h"
#include "base/temporary.h"
#include "concepts/store/store.h"
#include "search/clusters.h"
#include "search/codes.h"
#include "search/index_files.h"
#include "search/nearest_rows.h"

namespace vicha {
namespace {

using BenchClock = std::chrono::steady_clock;

double milliseconds_since(BenchClock::time_point start) {
  return std::chrono::duration<double, std::milli>(BenchClock::now() - start).count();
}

/// (count, E) around the topics (T, E), of length 1.
at::Tensor near_topics(const at::Tensor& topics, std::int64_t count, double noise, at::Generator generator) {
  const at::Tensor which = at::randint(topics.size(0), {count}, generator, at::TensorOptions().dtype(at::kLong));
  const at::Tensor x = topics.index_select(0, which) +
                       noise * at::randn({count, topics.size(1)}, generator, at::TensorOptions().dtype(at::kFloat));
  return x / x.norm(2, 1, true);
}

void write_store(const fs::path& path, const SearchBenchOptions& options, const at::Tensor& topics, double noise,
                 const at::Generator& generator) {
  constexpr std::int64_t kAtOnce = 8192;
  EmbeddingStoreWriter writer(path, {"bench", "synthetic", std::string(64, '0'), "none"},
                              {options.width, 1, StoreType::kFloat16});
  for (std::int64_t first = 0; first < options.vectors; first += kAtOnce) {
    const std::int64_t count = std::min(kAtOnce, options.vectors - first);
    std::vector<std::string> keys;
    std::vector<std::uint64_t> contents;
    for (std::int64_t i = 0; i < count; ++i) {
      keys.push_back(content_key(static_cast<std::uint64_t>(first + i)));
      contents.push_back(static_cast<std::uint64_t>(first + i) + 1);
    }
    writer.add(keys, contents, near_topics(topics, count, noise, generator));
  }
  writer.finish();
}

}  // namespace

void SearchBenchOptions::describe(Visitor& v) {
  v.field({"vectors", "", "Vectors in the store", 1, 1e9}, vectors);
  v.field({"width", "numbers", "Of a vector", 1, 65536}, width);
  v.field({"k", "", "Nearest ones asked for", 1, 1e6}, k);
  v.field({"queries", "", "Searches that are timed", 1, 1e6}, queries);
  v.field({"topics", "", "Random directions that the vectors lie around", 1, 1e6}, topics);
  v.field({"clusters", "", "Look at clusters, as above a million vectors"}, clusters);
  v.field({"folder", "", "Where the store is made, and removed; empty: the system's for temporary files"}, folder);
}

SearchBenchResult bench_search(const SearchBenchOptions& options) {
  at::Generator generator = at::detail::createCPUGenerator(1);
  const double noise = 1.5 / std::sqrt(static_cast<double>(options.width));
  at::Tensor topics = at::randn({options.topics, options.width}, generator, at::TensorOptions().dtype(at::kFloat));
  topics /= topics.norm(2, 1, true);
  const fs::path parent = options.folder.empty() ? fs::temp_directory_path() : fs::path(options.folder);
  const Temporary folder(parent / "vicha-bench-search", Temporary::Kind::kFolder);
  const fs::path store = folder.path() / "vectors.emb", codes_file = folder.path() / "codes.bin";
  SearchBenchResult result;
  const auto start = BenchClock::now();
  write_store(store, options, topics, noise, generator);
  CodesContent content;
  content.vector_offsets = vector_offsets(store);
  content.picture_hashes.assign(content.vector_offsets.size(), 1);
  content.file_begin.assign(content.vector_offsets.size() + 1, 0);
  content.line_begin = {0};
  const StoredVectors vectors(store, content.vector_offsets, options.width);
  if (options.clusters) {
    RowClusters found = cluster_rows(vectors);
    content.centroids = std::move(found.centroids);
    content.cluster_of_rows = std::move(found.of_rows);
  }
  write_codes(codes_file, vectors, content);
  const at::Tensor queries = near_topics(topics, options.queries + 100, 2 * noise, generator).contiguous();
  const auto query = [&](std::int64_t i) {
    const float* row = queries.const_data_ptr<float>() + i * options.width;
    return std::vector<float>(row, row + options.width);
  };
  if (options.clusters) {
    std::vector<std::vector<float>> held_out;
    for (std::int64_t i = 0; i < 100; ++i) held_out.push_back(query(options.queries + i));
    const RecallReport recall = measure_recall(Codes(codes_file), vectors, held_out, 0.98);
    set_looked_at(codes_file, recall.looked_at);
  }
  result.build_seconds = milliseconds_since(start) / 1000;

  const Codes codes(codes_file);
  result.looked_at = codes.header().looked_at;
  result.bytes_scanned = static_cast<std::int64_t>(codes.codes().size());
  std::vector<double> times;
  double found = 0, all = 0;
  for (std::int64_t i = 0; i < options.queries; ++i) {
    const std::vector<float> q = query(i);
    const auto begin = BenchClock::now();
    const std::vector<Neighbour> nearest = nearest_rows(codes, vectors, q, options.k, result.looked_at);
    times.push_back(milliseconds_since(begin));
    if (result.looked_at == 0) continue;
    std::unordered_set<std::int64_t> rows;
    for (const Neighbour& n : nearest) rows.insert(n.row);
    for (const Neighbour& n : nearest_rows(codes, vectors, q, options.k, 0)) {
      all += 1;
      found += rows.contains(n.row) ? 1 : 0;
    }
  }
  if (all > 0) result.recall = found / all;
  result.first_ms = times.front();
  if (times.size() > 1) times.erase(times.begin());
  std::sort(times.begin(), times.end());
  result.median_ms = times[times.size() / 2];
  result.slowest_ms = times.back();
  return result;
}

std::string search_bench_json(const SearchBenchOptions& options) {
  const SearchBenchResult r = bench_search(options);
  const nlohmann::ordered_json json = {{"vectors", options.vectors},
                                       {"width", options.width},
                                       {"k", options.k},
                                       {"queries", options.queries},
                                       {"first_ms", r.first_ms},
                                       {"median_ms", r.median_ms},
                                       {"slowest_ms", r.slowest_ms},
                                       {"recall", r.recall},
                                       {"clusters_looked_at", r.looked_at},
                                       {"bytes_of_codes", r.bytes_scanned},
                                       {"build_seconds", r.build_seconds}};
  return json.dump();
}

}  // namespace vicha
