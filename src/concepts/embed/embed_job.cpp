#include "concepts/embed/embed_job.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "data/pipeline/bad_images.h"
#include "models/image_pipeline.h"

namespace vicha {
namespace {

enum class Fate : std::uint8_t { kNew, kKnown, kBad };

fs::path bad_pictures_file(const EmbedJob& job, const EmbedOptions& options) {
  return options.bad_images.empty() ? bad_pictures_of(job.targets.front().store) : options.bad_images;
}

class Embedder {
 public:
  Embedder(const EmbedJob& job, const ImageList& images, const EmbedOptions& options)
      : job_(job),
        images_(images),
        options_(options),
        count_(options.rank < images.size() ? (images.size() - options.rank - 1) / options.ranks + 1 : 0),
        seen_(static_cast<std::size_t>(count_)),
        bad_log_(images.manifest, options.max_bad_share, bad_pictures_file(job, options), options.settings),
        progress_("embedding pictures", "pictures", count_) {
    go_on_with(bad_pictures_file(job, options));  // refused before a store is begun
    for (const EmbedTarget& target : job.targets) {
      writers_.push_back(std::make_unique<EmbeddingStoreWriter>(target.store, target.weights, target.shape));
    }
    report_.images = count_;
  }

  EmbedReport run() {
    ImagePipeline pipeline;
    pipeline.side = job_.height;
    pipeline.width = job_.width;
    pipeline.views = job_.views;
    pipeline.batch = std::max<std::int64_t>(1, job_.images_at_once);
    pipeline.threads = options_.threads;
    pipeline.read = [this](std::int64_t mine, std::span<float> pixels) {
      Seen& seen = seen_[static_cast<std::size_t>(mine)];
      seen.fate = prepare(mine, seen, pixels);
      return seen.fate == Fate::kNew;
    };
    pipeline.encode = job_.encode;
    pipeline.done = [this](const ImageBatch& batch) { store(batch); };
    pipeline.run(count_);
    for (std::size_t t = 0; t < writers_.size(); ++t) {
      writers_[t]->finish();
      report_.stores.push_back({job_.targets[t].store, fs::file_size(job_.targets[t].store), writers_[t]->loss()});
    }
    report_.seconds = progress_.seconds();
    return report_;
  }

 private:
  /// Written by the thread that reads the image, then read when its batch is done.
  struct Seen {
    std::uint64_t content = 0;
    std::uint8_t lacking = 0;  ///< a bit for each store
    Fate fate = Fate::kNew;
  };

  /// Of the images of this rank, in the whole list.
  std::int64_t listed(std::int64_t mine) const { return options_.rank + mine * options_.ranks; }
  const std::string& key(std::int64_t mine) const { return images_.keys[static_cast<std::size_t>(listed(mine))]; }

  Fate prepare(std::int64_t mine, Seen& seen, std::span<float> out) {
    std::vector<std::optional<std::uint64_t>> known;
    for (const auto& writer : writers_) known.push_back(writer->content(key(mine)));
    const auto in_all = [&] { return std::ranges::all_of(known, [](const auto& k) { return k.has_value(); }); };
    if (options_.trust_names && in_all()) return Fate::kKnown;
    const std::string path(images_.path(listed(mine)));
    try {
      const std::string file = read_file(path);
      const std::span bytes(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
      seen.content = content_hash(bytes);
      for (std::size_t t = 0; t < known.size(); ++t) {
        const bool has = known[t] && (options_.trust_names || *known[t] == seen.content || *known[t] == 0);
        if (!has) seen.lacking |= static_cast<std::uint8_t>(1U << t);
      }
      if (seen.lacking == 0) return Fate::kKnown;
      job_.prepare(bytes, path, out);
      return Fate::kNew;
    } catch (const DataError& error) {
      bad_.add(mine, error.what());
      return Fate::kBad;
    }
  }

  void store(const ImageBatch& batch) {
    for (std::int64_t mine = batch.begin; mine < batch.end; ++mine) {
      const Fate fate = seen_[static_cast<std::size_t>(mine)].fate;
      if (fate == Fate::kKnown) ++report_.known;
      if (fate != Fate::kBad) continue;
      ++report_.bad;
      bad_log_.report(images_.records[static_cast<std::size_t>(listed(mine))], *bad_.reason(mine));
    }
    const auto fresh = static_cast<std::int64_t>(batch.images.size());
    for (std::size_t t = 0; fresh > 0 && t < writers_.size(); ++t) add(t, batch);
    report_.embedded += fresh;
    progress_.update(batch.end, report_.known + report_.bad);
  }

  void add(std::size_t t, const ImageBatch& batch) {
    std::vector<std::string> keys;
    std::vector<std::uint64_t> contents;
    std::vector<std::int64_t> places;
    for (std::size_t i = 0; i < batch.images.size(); ++i) {
      const Seen& seen = seen_[static_cast<std::size_t>(batch.images[i])];
      if ((seen.lacking >> t & 1U) == 0) continue;
      keys.push_back(key(batch.images[i]));
      contents.push_back(seen.content);
      places.push_back(static_cast<std::int64_t>(i));
    }
    if (keys.empty()) return;
    const EmbedTarget& target = job_.targets[t];
    const std::int64_t of_view = target.shape.vectors * target.shape.width / job_.views;
    at::Tensor rows = batch.rows.view({-1, job_.views, batch.rows.size(1)}).narrow(2, target.column, of_view);
    if (places.size() < batch.images.size()) {
      rows = rows.index_select(0, at::tensor(places, at::kLong).to(rows.device()));
    }
    writers_[t]->add(keys, contents, rows.reshape({rows.size(0), target.shape.vectors, target.shape.width}));
  }

  const EmbedJob& job_;
  const ImageList& images_;
  EmbedOptions options_;
  std::int64_t count_;
  std::vector<Seen> seen_;
  std::vector<std::unique_ptr<EmbeddingStoreWriter>> writers_;
  BadImages bad_;
  BadImageLog bad_log_;
  EmbedReport report_;
  Progress progress_;
};

}  // namespace

fs::path bad_pictures_of(const fs::path& store) { return store.string() + ".bad_pictures.jsonl"; }

void check_embed_options(const EmbedOptions& options) {
  if (options.ranks < 1 || options.rank < 0 || options.rank >= options.ranks) {
    throw UsageError(fmt::format("rank {} of {}: ranks count from 0", options.rank, options.ranks));
  }
  if (options.batch_size < 0) {
    throw UsageError(
        fmt::format("--batch {} is not a number of vectors; 0 takes what suits the source", options.batch_size));
  }
  if (options.threads < 0) throw UsageError(fmt::format("--threads {}: 0 for all, else how many", options.threads));
}

EmbedReport embed_job(const EmbedJob& job, const ImageList& images, const EmbedOptions& options) {
  VICHA_ASSERT(!job.targets.empty() && job.targets.size() <= 8);
  check_embed_options(options);
  return Embedder(job, images, options).run();
}

}  // namespace vicha
