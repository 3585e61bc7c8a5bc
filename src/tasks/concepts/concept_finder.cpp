#include "tasks/concepts/concept_finder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/file_guard.h"
#include "base/files.h"
#include "base/log.h"
#include "concepts/source/clip_source.h"
#include "concepts/store/store.h"
#include "data/pipeline/loader.h"
#include "features/feature_embed.h"
#include "tasks/host/stored_pictures.h"
#include "tasks/host/tower_spec.h"

namespace vicha {
namespace {

constexpr std::string_view kWithout = "`--concepts none` does without them";

/// Of a file's content in a prepared picture, in numbers that floats hold exactly.
constexpr std::size_t kContentNumbers = 4;

void put_content(std::uint64_t content, std::span<float> out) {
  for (std::size_t i = 0; i < kContentNumbers; ++i) out[i] = static_cast<float>((content >> (16 * i)) & 0xffff);
}

std::uint64_t get_content(const float* numbers) {
  std::uint64_t content = 0;
  for (std::size_t i = 0; i < kContentNumbers; ++i) content |= static_cast<std::uint64_t>(numbers[i]) << (16 * i);
  return content;
}

std::unique_ptr<ConceptSource> open_source(const ConceptProvenance& provenance, const ConceptFinderOptions& options,
                                           const std::string& remedy) {
  const std::string spec = options.source.empty() ? provenance.source : options.source;
  ConceptSourceOptions tower = options.tower;
  tower.exact_decode = decodes_exactly(provenance.weights.view);
  std::unique_ptr<ConceptSource> source;
  try {
    source = open_concept_source(spec, tower);
  } catch (const Error& error) {
    throw DataError(fmt::format("the source of the model's concepts, {}", spec),
                    fmt::format("cannot be opened: {}. The model was trained with concepts from {}", error.what(),
                                provenance.weights.describe()),
                    remedy);
  }
  require_same(provenance.weights, "the model's concepts", source->weights(), spec);
  return source;
}

/// Where the store that keeps them has each image.
std::vector<std::int64_t> records_of(const ImageList& images, const EmbeddingStore& store, const std::string& remedy) {
  std::vector<std::int64_t> records;
  for (const std::string& key : images.keys) {
    const auto record = store.find(key);
    if (!record) {
      throw DataError(key, "cannot be read, so its concepts cannot be found", remedy);
    }
    records.push_back(*record);
  }
  return records;
}

}  // namespace

fs::path run_image_cache(const fs::path& run) { return run / "eval-pictures.emb"; }

ConceptFinder::ConceptFinder(std::optional<ConceptKit> kit, std::string model, ConceptFinderOptions options)
    : kit_(std::move(kit)), model_(std::move(model)), options_(std::move(options)) {}

ConceptFinder::ConceptFinder(ConceptKit kit, std::unique_ptr<ConceptSource> source)
    : kit_(std::move(kit)), source_(std::move(source)) {}

std::string ConceptFinder::remedy(const std::string& what) const {
  return options_.dispensable ? fmt::format("{}; {}", what, kWithout) : what;
}

const ConceptKit& ConceptFinder::kit() const {
  if (!kit_) {
    throw DataError(model_, "does not say how the concepts of its training set were found",
                    options_.dispensable
                        ? remedy("Give them in the manifest (--concepts manifest)")
                        : "Give a model that was trained without concepts, or with those of `vicha concepts build`");
  }
  return *kit_;
}

ConceptSource& ConceptFinder::source() {
  if (!source_) {
    source_ = open_source(
        kit().provenance, options_,
        remedy(fmt::format("Say where these weights are now (--concept-source {})", concept_source_forms())));
  }
  return *source_;
}

const NeighbourFinder& ConceptFinder::neighbours() {
  if (neighbours_) return *neighbours_;
  const ConceptProvenance& provenance = kit().provenance;
  fs::path store = provenance.neighbours->store;
  if (!options_.source.empty()) {
    const std::optional<std::string> given = store_of_source(options_.source);
    if (!given) {
      throw UsageError(
          fmt::format("--concept-source {}: the model's concepts come from {}; say where its store is now "
                      "(tower:STORE)",
                      options_.source, provenance.describe()));
    }
    store = *given;
  }
  if (!fs::exists(store)) {
    throw DataError(store.string(),
                    fmt::format("is not there: it held the pictures whose captions the model's concepts come from ({})",
                                provenance.describe()),
                    remedy("Say where it is now (--concept-source tower:STORE)"));
  }
  neighbours_ = std::make_unique<NeighbourFinder>(kit(), store);
  return *neighbours_;
}

const PictureEncoder& ConceptFinder::tower() {
  if (tower_) return *tower_;
  const ConceptProvenance& provenance = kit().provenance;
  const std::string spec =
      options_.tower.image_tower.empty() ? provenance.neighbours->image_tower : options_.tower.image_tower;
  const std::string say = remedy("Say where it is now (--image-tower SPEC)");
  if (spec.empty()) {
    throw DataError("the tower of the model's concepts",
                    fmt::format("is not known: they come from features of {}", provenance.weights.describe()), say);
  }
  std::unique_ptr<PictureEncoder> opened;
  try {
    opened = PictureEncoder::open(spec, options_.tower.device);
  } catch (const Error& error) {
    throw DataError(
        fmt::format("the tower of the model's concepts, {}", spec),
        fmt::format("cannot be opened: {}. They come from features of {}", error.what(), provenance.weights.describe()),
        say);
  }
  require_same(provenance.weights, "the model's concepts", opened->weights(), spec);
  tower_ = std::move(opened);
  return *tower_;
}

void ConceptFinder::open() {
  if (kit().neighbours) {
    neighbours();
    tower();
  } else {
    source();
  }
}

std::vector<ImageConcepts> ConceptFinder::find(const ImageList& images, const fs::path& cache) {
  const EmbedOptions all{
      .max_bad_share = 0,
      .settings = {
          .share = "", .folder = "--image-root or data.image_root", .otherwise = "`vicha data prune` leaves them out"}};
  const bool by_neighbours = kit().neighbours != nullptr;
  FeatureEmbedOptions whole;
  whole.embed = all;
  go_on_with(cache);
  const EmbedReport report =
      by_neighbours ? embed_features(tower(), images, cache, whole) : embed_images(source(), images, cache, all);
  log::info("concepts of {} pictures: {} embedded, {} from {}", images.size(), report.embedded, report.known,
            cache.string());
  const EmbeddingStore stored = EmbeddingStore::open(cache);
  const std::vector<std::int64_t> records =
      records_of(images, stored, remedy("Remove it from the manifest (`vicha data prune`)"));
  const at::Tensor rows = stored.rows(records).select(1, 0);
  if (!by_neighbours) return nearest_concepts(kit(), rows);
  std::vector<NeighbourQuery> queries;
  for (const std::int64_t record : records)
    queries.push_back({.key = stored.key(record), .content = stored.content(record)});
  return neighbours().find(rows, queries);
}

ImageConcepts ConceptFinder::find(const fs::path& image) {
  const std::string file = read_file(image);
  at::Tensor prepared = at::empty({1, prepared_numbers()});
  prepare({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}, image.string(),
          {prepared.data_ptr<float>(), static_cast<std::size_t>(prepared.numel())});
  return find_prepared(prepared).front();
}

std::int64_t ConceptFinder::prepared_numbers() {
  open();
  if (tower_) return 3 * tower_->height() * tower_->width() + static_cast<std::int64_t>(kContentNumbers);
  return 3 * static_cast<std::int64_t>(source_->side()) * source_->side();
}

void ConceptFinder::prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const {
  if (!tower_) return source_->prepare(bytes, name, out);
  tower_->prepare(bytes, name, {}, out.first(out.size() - kContentNumbers));
  put_content(content_hash(bytes), out.last(kContentNumbers));
}

void ConceptFinder::prepare(const Image& image, std::span<float> out) const {
  if (!tower_) return source_->prepare(image, out);
  tower_->prepare(image, {}, out.first(out.size() - kContentNumbers));
  put_content(0, out.last(kContentNumbers));
}

std::vector<ImageConcepts> ConceptFinder::find_prepared(const at::Tensor& prepared) const {
  const at::NoGradGuard guard;
  const std::int64_t count = prepared.size(0);
  const at::Tensor rows = prepared.contiguous();
  if (!tower_) {
    return nearest_concepts(kit(), source_->embed_images(rows.view({count, 3, source_->side(), source_->side()})));
  }
  const std::int64_t pixels = rows.size(1) - static_cast<std::int64_t>(kContentNumbers);
  std::vector<NeighbourQuery> queries;
  for (std::int64_t i = 0; i < count; ++i) {
    queries.push_back({.key = {}, .content = get_content(rows.const_data_ptr<float>() + i * rows.size(1) + pixels)});
  }
  const at::Tensor pictures = rows.slice(1, 0, pixels).contiguous().view({count, 3, tower_->height(), tower_->width()});
  return neighbours_->find(tower_->encode(pictures, /*patches=*/false).pooled_BP.cpu(), queries);
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
                                                   const Schema& schema, const EvaluationPadding& padding) {
  const ConceptsFrom where = from(data);
  if (where == ConceptsFrom::kFind) open();  // what is missing there should be said before all is read
  DataOptions reading = data;
  reading.concepts.enabled = where == ConceptsFrom::kManifest;
  const auto manifest = load_manifests(reading, schema);
  auto set = std::make_shared<EvaluationSet>(manifest, std::move(tokenizer), data, padding);
  if (!data.concepts.enabled || where == ConceptsFrom::kManifest) return set;

  std::vector<std::vector<std::string>> words(static_cast<std::size_t>(set->image_count()));
  if (where == ConceptsFrom::kFind) {
    const fs::path file = data.manifests.front();
    const ImageList images =
        list_images({file}, {.image_root = data.image_root, .strip_parts = data.strip_parts, .schema = schema});
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
