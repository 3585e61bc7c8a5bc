#include "tasks/concepts/concept_finder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "concepts/source/clip_source.h"
#include "concepts/store/store.h"
#include "data/pipeline/loader.h"
#include "tasks/host/stored_pictures.h"

namespace vicha {
namespace {

constexpr std::string_view kWithout = "`--concepts none` does without them";

std::unique_ptr<ConceptSource> open_source(const ConceptProvenance& provenance, const ConceptFinderOptions& options) {
  const std::string spec = options.source.empty() ? provenance.source : options.source;
  ConceptSourceOptions tower = options.tower;
  tower.exact_decode = decodes_exactly(provenance.weights.view);
  std::unique_ptr<ConceptSource> source;
  try {
    source = open_concept_source(spec, tower);
  } catch (const Error& error) {
    throw DataError(
        fmt::format("the source of the model's concepts, {}", spec),
        fmt::format("cannot be opened: {}. The model was trained with concepts from {}", error.what(),
                    provenance.weights.describe()),
        fmt::format("Say where these weights are now (--concept-source clip:FILE or vicha:CHECKPOINT); {}", kWithout));
  }
  require_same(provenance.weights, "the model's concepts", source->weights(), spec);
  return source;
}

/// Vectors of all images (n, E) from the store that keeps them.
at::Tensor stored_rows(const ImageList& images, const fs::path& store) {
  const EmbeddingStore embeddings = EmbeddingStore::open(store);
  std::vector<std::int64_t> records;
  for (const std::string& key : images.keys) {
    const auto record = embeddings.find(key);
    if (!record) {
      throw DataError(key, "cannot be read, so its concepts cannot be found",
                      fmt::format("Remove it from the manifest (`vicha data prune`); {}", kWithout));
    }
    records.push_back(*record);
  }
  return embeddings.rows(records).select(1, 0);
}

}  // namespace

fs::path run_image_cache(const fs::path& run) { return run / "eval-pictures.emb"; }

ConceptFinder::ConceptFinder(std::optional<ConceptKit> kit, std::string model, ConceptFinderOptions options)
    : kit_(std::move(kit)), model_(std::move(model)), options_(std::move(options)) {}

ConceptFinder::ConceptFinder(ConceptKit kit, std::unique_ptr<ConceptSource> source)
    : kit_(std::move(kit)), source_(std::move(source)) {}

const ConceptKit& ConceptFinder::kit() const {
  if (!kit_) {
    throw DataError(model_, "does not say how the concepts of its training set were found",
                    fmt::format("Give them in the manifest (--concepts manifest); {}", kWithout));
  }
  return *kit_;
}

ConceptSource& ConceptFinder::source() {
  if (!source_) source_ = open_source(kit().provenance, options_);
  return *source_;
}

std::vector<ImageConcepts> ConceptFinder::find(const ImageList& images, const fs::path& cache) {
  const EmbedOptions all{
      .max_bad_share = 0,
      .settings = {
          .share = "", .folder = "--image-root or data.image_root", .otherwise = "`vicha data prune` leaves them out"}};
  const EmbedReport report = embed_images(source(), images, cache, all);
  log::info("concepts of {} pictures: {} embedded, {} from {}", images.size(), report.embedded, report.known,
            cache.string());
  return nearest_concepts(kit(), stored_rows(images, cache));
}

ImageConcepts ConceptFinder::find(const fs::path& image) {
  const std::string bytes = read_file(image);
  ConceptSource& tower = source();
  const std::int64_t side = tower.side();
  at::Tensor pixels = at::empty({1, 3, side, side});
  tower.prepare({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, image.string(),
                {pixels.data_ptr<float>(), static_cast<std::size_t>(pixels.numel())});
  const at::NoGradGuard guard;
  return nearest_concepts(kit(), tower.embed_images(pixels)).front();
}

ConceptsFrom ConceptFinder::from(const DataOptions& data) const {
  VICHA_ASSERT(data.manifests.size() == 1);
  if (!data.concepts.enabled) return ConceptsFrom::kNone;
  if (options_.from == ConceptsFrom::kFind) kit();
  if (options_.from != ConceptsFrom::kAuto) return options_.from;
  if (!kit_) return ConceptsFrom::kManifest;
  const std::string& manifest = data.manifests.front();
  const std::optional<ConceptProvenance> given = concept_provenance_of(manifest);
  if (!given) return ConceptsFrom::kFind;
  require_covered(kit_->provenance, model_, *given, manifest);
  return ConceptsFrom::kManifest;
}

std::string ConceptFinder::describe(const DataOptions& data) const {
  switch (from(data)) {
    case ConceptsFrom::kFind:
      return kit().provenance.describe();
    case ConceptsFrom::kManifest: {
      const std::optional<ConceptProvenance> given = concept_provenance_of(data.manifests.front());
      return given ? given->describe() : "the manifest's";
    }
    default:
      return "none";
  }
}

std::shared_ptr<EvaluationSet> ConceptFinder::load(const DataOptions& data, std::shared_ptr<const WordPiece> tokenizer,
                                                   const Schema& schema) {
  const ConceptsFrom where = from(data);
  if (where == ConceptsFrom::kFind) source();  // what is missing there should be said before all is read
  DataOptions reading = data;
  reading.concepts.enabled = where == ConceptsFrom::kManifest;
  const auto manifest = load_manifests(reading, schema);
  auto set = std::make_shared<EvaluationSet>(manifest, std::move(tokenizer), data);
  if (!data.concepts.enabled || where == ConceptsFrom::kManifest) return set;

  std::vector<std::vector<std::string>> words(static_cast<std::size_t>(set->image_count()));
  if (where == ConceptsFrom::kFind) {
    const fs::path file = data.manifests.front();
    const ImageList images = list_images({file}, {.image_root = data.image_root, .strip_parts = data.strip_parts});
    const std::vector<ImageConcepts> found =
        find(images, options_.cache.empty() ? cache_beside(file, kit().provenance.weights, "emb") : options_.cache);
    std::unordered_map<std::string_view, std::size_t> number_of_path;
    for (std::int64_t i = 0; i < images.size(); ++i) {
      number_of_path.emplace(images.path(i), static_cast<std::size_t>(i));
    }
    for (std::int64_t image = 0; image < set->image_count(); ++image) {
      words[static_cast<std::size_t>(image)] = found[number_of_path.at(set->image_path(image))].words;
    }
  }
  set->set_concepts(std::move(words));
  return set;
}

}  // namespace vicha
