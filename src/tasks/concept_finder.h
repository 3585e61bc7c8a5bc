// The concepts of pictures that a trained model has not seen, found as its training set's were.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "concepts/embed/embed.h"
#include "concepts/kit/concept_kit.h"
#include "config/choice.h"
#include "data/pipeline/evaluation.h"
#include "tasks/concept_sources.h"

namespace vicha {

/// Where an evaluation's concepts come from.
enum class ConceptsFrom {
  kAuto,      ///< the manifest's where they are of the checkpoint's identity, else found in the pictures
  kFind,      ///< always found
  kManifest,  ///< the manifest's, whatever they are
  kNone,      ///< the model reads no concepts
};
inline constexpr Choice<ConceptsFrom> kConceptsFromNames[] = {{"auto", ConceptsFrom::kAuto},
                                                              {"find", ConceptsFrom::kFind},
                                                              {"manifest", ConceptsFrom::kManifest},
                                                              {"none", ConceptsFrom::kNone}};

/// What a command that reads raw pictures is told about concepts.
struct ConceptChoice {
  ConceptsFrom from = ConceptsFrom::kAuto;
  std::string source;           ///< where the source's weights are now; empty: where they were in training
  std::filesystem::path cache;  ///< store of the pictures' embeddings; empty: beside the manifest
  ConceptSourceOptions options = {};
};

/// Where a run keeps the embeddings of the pictures that it is evaluated on along the way.
std::filesystem::path run_picture_cache(const std::filesystem::path& run);

class ConceptFinder {
 public:
  /// Opens the source. Throws DataError that says what is missing, or that the weights are others than the kit's,
  /// naming both; the remedy names the options.
  ConceptFinder(ConceptKit kit, const ConceptChoice& choice);
  /// With a source that is open already: the kit's.
  ConceptFinder(ConceptKit kit, std::unique_ptr<ConceptSource> source);

  /// One list a picture. Pictures are embedded once and kept in `cache` (a store); if it cannot be written there, the
  /// log says so and nothing is kept.
  std::vector<PictureConcepts> find(const PictureList& pictures, const std::filesystem::path& cache);
  /// Of one picture file; nothing is kept.
  PictureConcepts find(const std::filesystem::path& picture);

  const ConceptKit& kit() const { return kit_; }

 private:
  ConceptKit kit_;
  std::unique_ptr<ConceptSource> source_;
};

/// Settles an evaluation's concepts before its manifest is loaded: `data.concepts.enabled` becomes false where the
/// manifest's are not to be read. Then `apply` gives the set those that are found.
class EvaluationConcepts {
 public:
  /// `kit`: of the model, which messages call `model`. `data`: of its recipe, `manifests` the one to evaluate. Throws
  /// DataError if concepts can be had in no way, saying what is missing and that `--concepts none` does without.
  EvaluationConcepts(std::optional<ConceptKit> kit, const std::string& model, const DataOptions& data,
                     const ConceptChoice& choice);
  ~EvaluationConcepts();

  /// What the manifest must have.
  bool reads_manifest() const { return plan_ == Plan::kManifest; }
  std::shared_ptr<const EvaluationSet> load(std::shared_ptr<const WordPiece> tokenizer) const;
  /// For results: "none", "the manifest's", or the identity.
  const std::string& description() const { return description_; }

 private:
  enum class Plan { kOff, kManifest, kFind, kEmpty };

  DataOptions data_;
  ConceptChoice choice_;
  Plan plan_ = Plan::kOff;
  std::string description_ = "none";
  std::unique_ptr<ConceptFinder> finder_;
};

}  // namespace vicha
