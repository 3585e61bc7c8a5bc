// Training batches from a manifest.
//
// Every batch is a function of (manifest, options, seed, epoch, index): the number of workers, what was read before and
// where the run was resumed make no difference. An image that cannot be read gives way to the next record of
// the manifest; bad images are counted and written down in the order in which their samples come.
//
// Has the members of train's BatchSource; `tasks` joins the two.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "data/manifest/manifest.h"
#include "data/pipeline/bad_images.h"
#include "data/pipeline/batch_queue.h"
#include "data/pipeline/data_options.h"
#include "data/pipeline/picture_features.h"
#include "data/pipeline/sample_maker.h"
#include "data/pipeline/sampler.h"
#include "models/batch.h"

namespace vicha {

/// Adds what an objective or a task needs beside the core (models/batch.h). `batch.records` are its samples' records of
/// the manifest. Random numbers depend on (seed, batch, rank) and the maker's index in the list alone.
using TargetMaker = std::function<void(Batch& batch, const Manifest& manifest, Rng& rng)>;

/// What of their records the samples of a batch show, for targets that must follow it (LoaderSetup::shown).
struct ShownParts : BatchTargets {
  std::vector<SeenPart> seen;                                ///< of each picture of pixels
  std::vector<std::int64_t> view;                            ///< of each picture's features
  std::vector<std::vector<std::string_view>> concept_words;  ///< of each, as they were drawn

  void for_each_tensor(const TensorVisit&) override {}
};

/// What the recipe's data section does not say.
struct LoaderSetup {
  std::uint64_t seed = 0;
  std::int64_t rank = 0, world = 1;
  std::vector<TargetMaker> targets = {};   ///< in turn, each with random numbers of its own
  bool pin_memory = false;                 ///< for copies to a GPU
  std::filesystem::path bad_samples = {};  ///< JSON lines of unreadable images, appended to; empty: logged only
  /// Of the manifest's pictures, which then are not read; a view of each is drawn. Null: pixels.
  std::shared_ptr<const PictureFeatures> features = {};
  bool shown = false;  ///< whether batches have ShownParts, before the makers of targets see them
};

/// The manifests that the options name, with what the schema says of their records (its `concepts` are the options').
/// Throws DataError.
std::shared_ptr<const Manifest> load_manifests(const DataOptions& options, const Schema& schema = {});

class Loader {
 public:
  /// Throws DataError if the manifest has not enough samples for a batch, UsageError if options contradict each other.
  Loader(std::shared_ptr<const Manifest> manifest, std::shared_ptr<const WordPiece> tokenizer,
         const DataOptions& options, const LoaderSetup& setup);

  std::int64_t batches_per_epoch() const { return sampler_.batches_per_epoch(); }
  void seek(std::int64_t epoch, std::int64_t batch_in_epoch);
  /// Whether the next batch is there, after waiting for it at most so long.
  bool ready(std::chrono::milliseconds patience) { return queue_.ready(patience); }
  /// Throws DataError when too many images are bad.
  Batch next();
  /// Bad images met so far.
  std::int64_t skipped() const { return bad_log_.count(); }

 private:
  LoaderSetup setup_;
  Sampler sampler_;
  BadImageLog bad_log_;
  SampleMaker maker_;
  BatchQueue queue_;  // last: its threads use the others
};

}  // namespace vicha
