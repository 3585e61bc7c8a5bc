#include "data/pipeline/loader.h"

#include <utility>

#include "base/error.h"
#include "data/pipeline/collate.h"

namespace vicha {
namespace {

constexpr std::uint64_t kOrder = 0, kSamples = 1, kTargets = 2;  // what the seed is used for

}  // namespace

std::shared_ptr<const Manifest> load_manifests(const DataOptions& options, const Schema& schema) {
  const std::vector<std::filesystem::path> files(options.manifests.begin(), options.manifests.end());
  return std::make_shared<const Manifest>(Manifest::load(files, options.manifest_options(schema)));
}

Loader::Loader(std::shared_ptr<const Manifest> manifest, std::shared_ptr<const WordPiece> tokenizer,
               const DataOptions& options, const LoaderSetup& setup)
    : setup_(setup),
      sampler_({.samples = manifest->size(),
                .batch_size = options.batch_size,
                .seed = mix_seed({setup.seed, kOrder}),
                .rank = setup.rank,
                .world = setup.world}),
      bad_log_(manifest, options.max_bad_share, setup.bad_samples),
      maker_(manifest, std::move(tokenizer), options, mix_seed({setup.seed, kSamples}), bad_log_.allowed(),
             setup.features),
      queue_(
          options.workers, options.prefetch,
          [size = options.batch_size, shape = picture_shape(options.transform.image_res, setup.features.get()),
           pin = setup.pin_memory, further = manifest->further_images()](std::int64_t number) {
            return make_draft(number, size, shape, pin, further);
          },
          [this](DraftBatch& draft, std::int64_t slot) {
            const std::int64_t epoch = draft.number / batches_per_epoch();
            const std::int64_t record = sampler_.sample(epoch, draft.number % batches_per_epoch(), slot);
            draft.samples[static_cast<std::size_t>(slot)] = maker_.make(epoch, record, draft.pictures(slot));
          }) {}

void Loader::seek(std::int64_t epoch, std::int64_t batch_in_epoch) {
  VICHA_ASSERT(epoch >= 0 && batch_in_epoch >= 0);
  queue_.seek(epoch * batches_per_epoch() + batch_in_epoch);
}

Batch Loader::next() {
  const std::unique_ptr<DraftBatch> draft = queue_.next();
  for (const Sample& sample : draft->samples) {
    for (const std::int64_t record : sample.passed_over) {
      for (const std::int64_t image : maker_.manifest().image_numbers(record)) {
        if (const auto reason = maker_.bad_images().reason(image)) bad_log_.report(record, image, *reason);
      }
    }
    if (sample.record < 0) bad_log_.stop();
  }
  Batch batch = collate(*draft, {.pad_id = maker_.text().pad_id(),
                                 .text = maker_.manifest().schema().has_text(),
                                 .concepts = maker_.text().has_concepts()});
  if (setup_.shown) {
    auto& shown = batch.add<ShownParts>();
    for (Sample& sample : draft->samples) {
      shown.seen.push_back(sample.seen);
      shown.view.push_back(sample.view);
      shown.concept_words.push_back(std::move(sample.concept_words));
    }
  }
  const std::uint64_t seed = mix_seed(
      {setup_.seed, kTargets, static_cast<std::uint64_t>(draft->number), static_cast<std::uint64_t>(setup_.rank)});
  for (std::size_t i = 0; i < setup_.targets.size(); ++i) {
    Rng rng(i == 0 ? seed : mix_seed({seed, i}));
    setup_.targets[i](batch, maker_.manifest(), rng);
  }
  if (setup_.pin_memory) batch = std::move(batch).pin_memory();
  return batch;
}

}  // namespace vicha
