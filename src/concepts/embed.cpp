#include "concepts/embed.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "concepts/embed_progress.h"
#include "concepts/regions.h"
#include "data/bad_pictures.h"
#include "data/batch_queue.h"
#include "data/manifest_reader.h"

namespace vicha {
namespace {

enum class Fate : std::uint8_t { kNew, kKnown, kBad };

class Embedder {
 public:
  Embedder(ConceptSource& source, const PictureList& pictures, const fs::path& store, const EmbedOptions& options)
      : source_(source),
        pictures_(pictures),
        options_(options),
        vectors_(vectors_with_regions(options.regions)),
        pictures_per_batch_(std::max<std::int64_t>(1, options.batch_size / vectors_)),
        count_(options.rank < pictures.size() ? (pictures.size() - options.rank - 1) / options.ranks + 1 : 0),
        fates_(static_cast<std::size_t>(count_), Fate::kNew),
        contents_(static_cast<std::size_t>(count_), 0),
        writer_(store, source.weights(), {source.width(), vectors_, options.type}),
        bad_log_(
            pictures.manifest, options.max_bad_share,
            options.bad_pictures.empty() ? fs::path(store.string() + ".bad_pictures.jsonl") : options.bad_pictures),
        queue_(
            options.workers, options.prefetch, [this](std::int64_t number) { return open(number); },
            [this](DraftBatch& draft, std::int64_t slot) { make(draft, slot); }) {}

  EmbedReport run() {
    EmbedReport report{.pictures = count_};
    EmbedProgress progress("embedding pictures", "pictures", count_);
    std::int64_t done = 0;
    while (const std::unique_ptr<DraftBatch> draft = queue_.next()) {
      embed(*draft, report);
      done += static_cast<std::int64_t>(draft->samples.size());
      progress.update(done, report.known + report.bad);
    }
    writer_.finish();
    report.seconds = progress.seconds();
    return report;
  }

 private:
  /// Of the pictures of this rank, in the whole list.
  std::int64_t listed(std::int64_t mine) const { return options_.rank + mine * options_.ranks; }
  const std::string& key(std::int64_t mine) const { return pictures_.keys[static_cast<std::size_t>(listed(mine))]; }

  std::unique_ptr<DraftBatch> open(std::int64_t number) const {
    const std::int64_t first = number * pictures_per_batch_, count = std::min(pictures_per_batch_, count_ - first);
    if (count <= 0) return nullptr;
    auto draft = std::make_unique<DraftBatch>();
    draft->number = number;
    draft->image = at::empty({count * vectors_, 3, source_.side(), source_.side()}, at::kFloat);
    draft->samples.resize(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) draft->samples[static_cast<std::size_t>(i)].record = first + i;
    return draft;
  }

  void make(DraftBatch& draft, std::int64_t slot) {
    const std::int64_t mine = draft.samples[static_cast<std::size_t>(slot)].record;
    const auto size = static_cast<std::size_t>(draft.image.stride(0) * vectors_);
    const std::span<float> out(draft.image.data_ptr<float>() + static_cast<std::size_t>(slot) * size, size);
    Fate& fate = fates_[static_cast<std::size_t>(mine)];
    fate = prepare(mine, out);
    // Pictures that are left out still hold their place: the tower sees the same shape whatever the store had already.
    if (fate != Fate::kNew) std::fill(out.begin(), out.end(), 0.0f);
  }

  Fate prepare(std::int64_t mine, std::span<float> out) {
    const std::optional<std::uint64_t> known = writer_.content(key(mine));
    if (known && options_.trust_names) return Fate::kKnown;
    const std::string path(pictures_.path(listed(mine)));
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

  void embed(const DraftBatch& draft, EmbedReport& report) {
    std::vector<std::int64_t> slots;
    std::vector<std::string> keys;
    std::vector<std::uint64_t> contents;
    for (std::size_t slot = 0; slot < draft.samples.size(); ++slot) {
      const std::int64_t mine = draft.samples[slot].record;
      switch (fates_[static_cast<std::size_t>(mine)]) {
        case Fate::kNew:
          slots.push_back(static_cast<std::int64_t>(slot));
          keys.push_back(key(mine));
          contents.push_back(contents_[static_cast<std::size_t>(mine)]);
          break;
        case Fate::kKnown:
          ++report.known;
          break;
        case Fate::kBad:
          ++report.bad;
          bad_log_.report(pictures_.records[static_cast<std::size_t>(listed(mine))], *bad_.reason(mine));
          break;
      }
    }
    if (slots.empty()) return;
    const at::Tensor rows = source_.embed_pictures(draft.image)
                                .view({static_cast<std::int64_t>(draft.samples.size()), vectors_, source_.width()});
    const bool all = slots.size() == draft.samples.size();
    writer_.add(keys, contents, all ? rows : rows.index_select(0, at::tensor(slots, at::kLong)));
    report.embedded += static_cast<std::int64_t>(slots.size());
  }

  ConceptSource& source_;
  const PictureList& pictures_;
  EmbedOptions options_;
  std::int64_t vectors_, pictures_per_batch_, count_;
  std::vector<Fate> fates_;  // each is written by the worker that makes its picture, then read when its batch is out
  std::vector<std::uint64_t> contents_;
  EmbeddingStoreWriter writer_;
  BadPictures bad_;
  BadPictureLog bad_log_;
  BatchQueue queue_;  // last: its threads use the others
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

PictureList list_pictures(const std::vector<fs::path>& manifests, ManifestOptions options) {
  options.needs = {.caption = false, .concepts = false, .image_id = false};
  PictureList list;
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
    read_manifest(file, options.needs, see, [](const ManifestProblem& problem) { problem.raise(); });
  }
  return list;
}

fs::path store_of_rank(const fs::path& store, std::int64_t rank, std::int64_t ranks) {
  if (ranks <= 1) return store;
  return store.parent_path() /
         fmt::format("{}.rank-{}-of-{}{}", store.stem().string(), rank, ranks, store.extension().string());
}

EmbedReport embed_pictures(ConceptSource& source, const PictureList& pictures, const fs::path& store,
                           const EmbedOptions& options) {
  if (options.ranks < 1 || options.rank < 0 || options.rank >= options.ranks) {
    throw UsageError(fmt::format("rank {} of {}: ranks count from 0", options.rank, options.ranks));
  }
  if (options.batch_size < 1 || options.regions < 0) throw UsageError("--batch and --regions must be positive");
  const EmbedReport report = Embedder(source, pictures, store, options).run();
  log::info("{}: {} pictures embedded in {:.1f} s ({:.1f}/s), {} were there, {} bad", store.string(), report.embedded,
            report.seconds, static_cast<double>(report.embedded) / std::max(report.seconds, 1e-9), report.known,
            report.bad);
  return report;
}

}  // namespace vicha
