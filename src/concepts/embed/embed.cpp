#include "concepts/embed/embed.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/random.h"
#include "concepts/embed/region_embedding.h"
#include "data/manifest/manifest_reader.h"
#include "data/pipeline/bad_images.h"
#include "models/image_pipeline.h"

namespace vicha {
namespace {

enum class Fate : std::uint8_t { kNew, kKnown, kBad };

class Embedder {
 public:
  Embedder(ConceptSource& source, const ImageList& images, const fs::path& store, const EmbedOptions& options)
      : source_(source),
        images_(images),
        options_(options),
        vectors_(vectors_with_regions(options.regions)),
        count_(options.rank < images.size() ? (images.size() - options.rank - 1) / options.ranks + 1 : 0),
        fates_(static_cast<std::size_t>(count_), Fate::kNew),
        contents_(static_cast<std::size_t>(count_), 0),
        writer_(store, source.weights(), {source.width(), vectors_, options.type}),
        bad_log_(images.manifest, options.max_bad_share,
                 options.bad_images.empty() ? fs::path(store.string() + ".bad_pictures.jsonl") : options.bad_images,
                 options.settings),
        progress_("embedding pictures", "pictures", count_) {
    report_.images = count_;
  }

  EmbedReport run() {
    const std::int64_t at_once = options_.batch_size > 0 ? options_.batch_size : source_.batch();
    ImagePipeline pipeline;
    pipeline.side = source_.side();
    pipeline.views = vectors_;
    pipeline.batch = std::max<std::int64_t>(1, at_once / vectors_);
    pipeline.threads = options_.threads;
    pipeline.read = [this](std::int64_t mine, std::span<float> pixels) {
      return (fates_[static_cast<std::size_t>(mine)] = prepare(mine, pixels)) == Fate::kNew;
    };
    pipeline.encode = [this](const at::Tensor& pixels) { return source_.embed_images(pixels); };
    pipeline.done = [this](const ImageBatch& batch) { store(batch); };
    pipeline.run(count_);
    writer_.finish();
    report_.seconds = progress_.seconds();
    return report_;
  }

 private:
  /// Of the images of this rank, in the whole list.
  std::int64_t listed(std::int64_t mine) const { return options_.rank + mine * options_.ranks; }
  const std::string& key(std::int64_t mine) const { return images_.keys[static_cast<std::size_t>(listed(mine))]; }

  Fate prepare(std::int64_t mine, std::span<float> out) {
    const std::optional<std::uint64_t> known = writer_.content(key(mine));
    if (known && options_.trust_names) return Fate::kKnown;
    const std::string path(images_.path(listed(mine)));
    try {
      const std::string file = read_file(path);
      const std::span bytes(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
      const std::uint64_t content = content_hash(bytes);
      if (known && (*known == content || *known == 0)) return Fate::kKnown;
      contents_[static_cast<std::size_t>(mine)] = content;
      prepare_with_regions(source_, bytes, path, options_.regions, out);
      return Fate::kNew;
    } catch (const DataError& error) {
      bad_.add(mine, error.what());
      return Fate::kBad;
    }
  }

  void store(const ImageBatch& batch) {
    for (std::int64_t mine = batch.begin; mine < batch.end; ++mine) {
      const Fate fate = fates_[static_cast<std::size_t>(mine)];
      if (fate == Fate::kKnown) ++report_.known;
      if (fate != Fate::kBad) continue;
      ++report_.bad;
      bad_log_.report(images_.records[static_cast<std::size_t>(listed(mine))], *bad_.reason(mine));
    }
    std::vector<std::string> keys;
    std::vector<std::uint64_t> contents;
    for (const std::int64_t mine : batch.images) {
      keys.push_back(key(mine));
      contents.push_back(contents_[static_cast<std::size_t>(mine)]);
    }
    const auto fresh = static_cast<std::int64_t>(keys.size());
    if (fresh > 0) writer_.add(keys, contents, batch.rows.view({fresh, vectors_, source_.width()}));
    report_.embedded += fresh;
    progress_.update(batch.end, report_.known + report_.bad);
  }

  ConceptSource& source_;
  const ImageList& images_;
  EmbedOptions options_;
  std::int64_t vectors_, count_;
  std::vector<Fate> fates_;  // each is written by the thread that reads its image, then read when its batch is done
  std::vector<std::uint64_t> contents_;
  EmbeddingStoreWriter writer_;
  BadImages bad_;
  BadImageLog bad_log_;
  EmbedReport report_;
  Progress progress_;
};

}  // namespace

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
  options.schema = {.caption = false};
  ImageList list;
  list.manifest = std::make_shared<const Manifest>(Manifest::load(manifests, options));
  const Manifest& manifest = *list.manifest;
  std::unordered_map<std::string, std::int64_t> first_of;  // record
  std::int64_t record = 0;
  for (const fs::path& file : manifests) {
    const auto see = [&](const ManifestRecord& r) {
      const auto [found, fresh] = first_of.try_emplace(r.image, record);
      if (fresh) {
        list.keys.push_back(r.image);
        list.records.push_back(record);
      } else if (manifest.image_number(found->second) != manifest.image_number(record)) {
        throw DataError(manifest.where(record),
                        fmt::format("\"{}\" is {} here and {} in {}", r.image, manifest.image_path(record),
                                    manifest.image_path(found->second), manifest.where(found->second)),
                        "Embed these manifests into stores of their own, or give one --image-root for both");
      }
      ++record;
    };
    read_manifest(file, options.schema, see, [](const ManifestProblem& problem) { problem.raise(); });
  }
  return list;
}

fs::path store_of_rank(const fs::path& store, std::int64_t rank, std::int64_t ranks) {
  if (ranks <= 1) return store;
  return store.parent_path() /
         fmt::format("{}.rank-{}-of-{}{}", store.stem().string(), rank, ranks, store.extension().string());
}

EmbedReport embed_images(ConceptSource& source, const ImageList& images, const fs::path& store,
                         const EmbedOptions& options) {
  if (options.ranks < 1 || options.rank < 0 || options.rank >= options.ranks) {
    throw UsageError(fmt::format("rank {} of {}: ranks count from 0", options.rank, options.ranks));
  }
  if (options.batch_size < 0) {
    throw UsageError(
        fmt::format("--batch {} is no number of vectors; 0 takes what suits the source", options.batch_size));
  }
  if (options.regions < 0)
    throw UsageError(fmt::format("--regions {}: 0 for none, else the side of the grid", options.regions));
  if (options.threads < 0) throw UsageError(fmt::format("--threads {}: 0 for all, else how many", options.threads));
  const EmbedReport report = Embedder(source, images, store, options).run();
  log::info("{}: {} pictures embedded in {:.1f} s ({:.1f}/s), {} were there, {} bad", store.string(), report.embedded,
            report.seconds, static_cast<double>(report.embedded) / std::max(report.seconds, 1e-9), report.known,
            report.bad);
  return report;
}

}  // namespace vicha
