// Concepts into manifests: `kwords` from embedding stores and a vocabulary, or from a field that has them already
// (method, section 6.3, and section 4 for regions).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "concepts/embed/region_embedding.h"
#include "concepts/kit/concept_kit.h"
#include "concepts/store/nearest.h"

namespace vicha {

/// Field of records: a word or null for each region of their picture.
inline constexpr const char* kRegionTagsField = "region_tags";

struct AssignOptions {
  std::int64_t k = 15;
  double threshold = 0;  ///< least softmax(scale * cosine) over the vocabulary; 0: none. k words at most are kept
  std::optional<TagOptions> regions = {};            ///< region mode; the stores have a grid then
  double max_missing_share = 0.01;                   ///< of the images, that may be in no store; a few always may
  std::string share_option = "--max-missing-share";  ///< how the user of the command sets that
  Approximate approximate = Approximate::kAuto;
};

struct AssignReport {
  std::int64_t records = 0;   ///< written
  std::int64_t left_out = 0;  ///< records whose image is in no store
  std::int64_t images = 0, without_words = 0;
  std::int64_t words_used = 0;  ///< distinct
  double seconds = 0;
};

/// Copies the manifest with `kwords` (best first) and `kword_scores` (their cosines; probabilities in region mode,
/// which also writes `region_tags`, a word or null for each region row by row). Of records with several pictures each
/// one's (`kwords1`, `kwords2` of a list; NamedPicture). Other fields stay. Records of images
/// that are in no store are left out and counted. Every image is compared once; 8 k bytes of memory each.
///
/// Beside the result, RESULT.identity.json says how its concepts came about: the kit's provenance with the options' k
/// and threshold, so that a model finds those of new images just so; of tags of regions, which are found otherwise,
/// the identity alone. Throws DataError if stores and kit come from different sources, if the stores have no grid in
/// region mode, or if too many images are in no store.
AssignReport assign_concepts(const std::filesystem::path& manifest, const std::vector<std::filesystem::path>& stores,
                             const ConceptKit& kit, const std::filesystem::path& out, const AssignOptions& options);

/// Concepts that stand in a field of the records, a list of strings: the first k become `kwords`. Throws DataError
/// naming the first record that lacks it.
AssignReport assign_from_field(const std::filesystem::path& manifest, std::string_view field,
                               const std::filesystem::path& out, std::int64_t k);

/// rewrite_manifest, and RESULT.identity.json beside the result: while it is replaced it has no provenance rather than
/// a wrong one.
std::int64_t rewrite_with_concepts(const std::filesystem::path& manifest, const std::filesystem::path& out,
                                   const ConceptProvenance& provenance,
                                   const std::function<bool(nlohmann::ordered_json&, std::int64_t)>& edit);

}  // namespace vicha
