#include "concepts/embed/embed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "concepts/embed/embed_job.h"
#include "concepts/embed/region_embedding.h"
#include "data/manifest/manifest_reader.h"
#include "data/manifest/picture_lists.h"

namespace vicha {
std::uint64_t content_hash(std::span<const std::uint8_t> bytes) {
  // Four lanes, so that the multiplications do not wait for each other: several bytes a cycle.
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15ULL;
  std::uint64_t lanes[4] = {1, 2, 3, 4};
  const auto mix = [&](std::uint64_t& lane, std::uint64_t word) {
    lane = (lane ^ word) * kOdd;
    lane ^= lane >> 29;
  };
  std::size_t i = 0;
  for (; i + 32 <= bytes.size(); i += 32) {
    for (int j = 0; j < 4; ++j) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data() + i + 8 * static_cast<std::size_t>(j), 8);
      mix(lanes[j], word);
    }
  }
  std::uint8_t rest[32] = {};
  if (i < bytes.size()) std::memcpy(rest, bytes.data() + i, bytes.size() - i);
  for (int j = 0; j < 4; ++j) {
    std::uint64_t word;
    std::memcpy(&word, rest + 8 * j, 8);
    mix(lanes[j], word);
  }
  const std::uint64_t hash = mix_seed({lanes[0], lanes[1], lanes[2], lanes[3], bytes.size()});
  return hash == 0 ? 1 : hash;
}

ImageList list_images(const std::vector<fs::path>& manifests, ManifestOptions options) {
  Schema schema{.caption = false};
  for (const ColumnSpec& spec : options.schema.columns) {
    if (spec.type == ColumnType::kImage) schema.columns.push_back({.field = spec.field, .type = spec.type});
  }
  if (schema.columns.empty()) schema.columns = columns_of_further_pictures(manifests);
  options.schema = schema;
  ImageList list;
  list.manifest = std::make_shared<const Manifest>(Manifest::load(manifests, options));
  const Manifest& manifest = *list.manifest;
  std::unordered_map<std::string, std::size_t> place_of;
  std::vector<std::int64_t> number_of;  // Manifest::image_number, of each in the list
  const auto add = [&](const std::string& name, std::int64_t record, std::int64_t number) {
    const auto [found, fresh] = place_of.try_emplace(name, list.keys.size());
    if (fresh) {
      list.keys.push_back(name);
      list.records.push_back(record);
      number_of.push_back(number);
    } else if (const std::int64_t before = number_of[found->second]; before != number) {
      throw DataError(manifest.where(record),
                      fmt::format("\"{}\" is {} here and {} in {}", name, manifest.image_file(number),
                                  manifest.image_file(before), manifest.where(list.records[found->second])),
                      "Embed these manifests into stores of their own, or give one --image-root for both");
    }
  };
  std::int64_t record = 0;
  for (const fs::path& file : manifests) {
    const auto see = [&](const ManifestRecord& r) {
      const std::vector<std::int64_t> numbers = manifest.image_numbers(record);
      add(r.image, record, numbers.front());
      if (!schema.columns.empty()) {
        const nlohmann::json json = nlohmann::json::parse(r.json);
        std::size_t next = 1;
        for (const ColumnSpec& spec : schema.columns) {
          if (json.contains(spec.field)) add(json.at(spec.field).get<std::string>(), record, numbers.at(next++));
        }
      }
      ++record;
    };
    read_manifest(file, schema, see, [](const ManifestProblem& problem) { problem.raise(); });
  }
  if (!schema.columns.empty()) list.numbers = std::move(number_of);
  return list;
}

fs::path store_of_rank(const fs::path& store, std::int64_t rank, std::int64_t ranks) {
  if (ranks <= 1) return store;
  return store.parent_path() /
         fmt::format("{}.rank-{}-of-{}{}", store.stem().string(), rank, ranks, store.extension().string());
}

EmbedReport embed_images(ConceptSource& source, const ImageList& images, const fs::path& store,
                         const EmbedOptions& options) {
  if (options.regions < 0)
    throw UsageError(fmt::format("--regions {}: 0 for none, else the side of the grid", options.regions));
  EmbedJob job;
  job.height = job.width = source.side();
  job.views = vectors_with_regions(options.regions);
  job.images_at_once = (options.batch_size > 0 ? options.batch_size : source.batch()) / job.views;
  job.prepare = [&](std::span<const std::uint8_t> bytes, std::string_view path, std::span<float> out) {
    prepare_with_regions(source, bytes, path, options.regions, out);
  };
  job.encode = [&](const at::Tensor& pixels) { return source.embed_images(pixels); };
  job.targets = {{store, source.weights(), {source.width(), job.views, options.type}}};
  const EmbedReport report = embed_job(job, images, options);
  log::info("{}: {} pictures embedded in {:.1f} s ({:.1f}/s), {} were there, {} bad", store.string(), report.embedded,
            report.seconds, static_cast<double>(report.embedded) / std::max(report.seconds, 1e-9), report.known,
            report.bad);
  return report;
}

}  // namespace vicha
