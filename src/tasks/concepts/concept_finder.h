// The concepts of images that a trained model has not seen, found as its training set's were.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "concepts/embed/embed.h"
#include "concepts/kit/concept_kit.h"
#include "concepts/kit/neighbours.h"
#include "data/pipeline/evaluation.h"
#include "features/picture_encoder.h"
#include "image/image.h"
#include "tasks/concepts/concept_sources.h"
#include "tasks/host/concept_options.h"

namespace vicha {

/// Where a run keeps the embeddings of the images that it is evaluated on along the way.
std::filesystem::path run_image_cache(const std::filesystem::path& run);

class ConceptFinder {
 public:
  /// `kit`: of the model, which messages call `model`; nothing if it has none, which suffices for sets that need none.
  /// The source is opened when it is first used. That throws DataError that says what is missing, or that the
  /// weights are others than the kit's, naming both; the remedy names the options.
  ConceptFinder(std::optional<ConceptKit> kit, std::string model, ConceptFinderOptions options = {});
  /// With a source that is open already: the kit's.
  ConceptFinder(ConceptKit kit, std::unique_ptr<ConceptSource> source);

  /// One list an image. Images are embedded once and kept in `cache` (a store); if it cannot be written there, the
  /// log says so and nothing is kept.
  std::vector<ImageConcepts> find(const ImageList& images, const std::filesystem::path& cache);
  /// Of one image file; nothing is kept.
  ImageConcepts find(const std::filesystem::path& image);

  /// For whoever reads pictures itself: how many numbers `prepare` makes of one. Opens what finding needs, which throws
  /// as `find` does; from then on any number of threads may call the two below.
  std::int64_t prepared_numbers();
  /// Throws DataError naming `name` if the bytes are no picture.
  void prepare(std::span<const std::uint8_t> bytes, std::string_view name, std::span<float> out) const;
  /// Of a picture that is no file's: it may be its own neighbour.
  void prepare(const Image& image, std::span<float> out) const;
  /// Of prepared pictures (n, prepared_numbers).
  std::vector<ImageConcepts> find_prepared(const at::Tensor& prepared) const;

  /// An evaluation set with the concepts that the model is to read. `data`: of the model's recipe, `manifests` the one
  /// to evaluate. Throws DataError if they can be had in no way, saying what is missing and that `--concepts none` does
  /// without; before anything is read, if the manifest's come from elsewhere than the model's.
  /// `schema`: what else the task reads of the records.
  std::shared_ptr<EvaluationSet> load(const DataOptions& data, std::shared_ptr<const WordPiece> tokenizer,
                                      const Schema& schema = {}, const EvaluationPadding& padding = {});
  /// Where `load` takes them from; never kAuto. Throws as it does.
  ConceptsFrom from(const DataOptions& data) const;
  /// For results: "none", "the manifest's", or the provenance.
  std::string describe(const DataOptions& data) const;

 private:
  /// The kit. Throws DataError if the model has none.
  const ConceptKit& kit() const;
  ConceptSource& source();
  /// Of kits whose words come from neighbours, in the place of a source.
  const NeighbourFinder& neighbours();
  const PictureEncoder& tower();
  /// What else could be done, where something is missing.
  std::string remedy(const std::string& what) const;
  /// That what `find` needs is there, before all is read.
  void open();

  std::optional<ConceptKit> kit_;
  std::string model_;
  ConceptFinderOptions options_;
  std::unique_ptr<ConceptSource> source_;
  std::unique_ptr<NeighbourFinder> neighbours_;
  std::unique_ptr<PictureEncoder> tower_;
};

}  // namespace vicha
