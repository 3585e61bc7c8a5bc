#include "concepts/kit/concept_kit.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "concepts/match/assign.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *kOriginFile = "concepts.json", *kVocabularyFile = "concepts.tsv",
                     *kEmbeddingsFile = "concepts.safetensors";

std::string relative_to(const fs::path& file, const fs::path& folder) {
  if (file.empty()) return "";
  const fs::path from = folder.empty() ? fs::path(".") : folder;
  return fs::relative(fs::absolute(file), fs::absolute(from)).generic_string();
}

std::string origin_json(const ConceptOrigin& origin, const std::string& vocabulary, const std::string& embeddings) {
  Json json = Json::parse(to_json(origin.identity));
  json["source"] = origin.source;
  json["k"] = origin.k;
  json["threshold"] = origin.threshold;
  json["vocabulary"] = vocabulary;
  json["embeddings"] = embeddings;
  if (!origin.merged_from.empty()) json["merged_from"] = origin.merged_from;
  return json.dump(1) + "\n";
}

/// Nothing if the file holds the identity alone.
std::optional<ConceptOrigin> read_origin(const fs::path& file) {
  const std::string text = read_file(file), where = file.string();
  ConceptOrigin origin;
  origin.identity = concept_identity_from_json(text, where);
  const Json json = Json::parse(text);
  if (!json.contains("source")) return std::nullopt;
  try {
    origin.source = json.at("source").get<std::string>();
    origin.k = json.at("k").get<std::int64_t>();
    origin.threshold = json.at("threshold").get<double>();
    const auto path = [&](const char* key) {
      const auto name = json.at(key).get<std::string>();
      return name.empty() ? fs::path() : file.parent_path() / name;
    };
    origin.vocabulary = path("vocabulary");
    origin.embeddings = path("embeddings");
    if (json.contains("merged_from")) origin.merged_from = json.at("merged_from").get<std::vector<std::string>>();
  } catch (const Json::exception& error) {
    throw DataError(where, fmt::format("does not say how concepts were made ({})", error.what()),
                    "Assign the concepts again (`vicha concepts assign`)");
  }
  if (origin.k < 1 || !(origin.threshold >= 0 && origin.threshold <= 1)) {
    throw DataError(where, fmt::format("k {} or threshold {} is out of range", origin.k, origin.threshold),
                    "Assign the concepts again (`vicha concepts assign`)");
  }
  return origin;
}

}  // namespace

bool ConceptOrigin::covers(const ConceptIdentity& other) const {
  return identity.same(other) || (identity.weights.same(other.weights) && identity.prompt == other.prompt &&
                                  std::ranges::find(merged_from, other.vocabulary_sha256) != merged_from.end());
}

void require_covered(const ConceptOrigin& origin, std::string_view where_origin, const ConceptIdentity& identity,
                     std::string_view where_identity) {
  if (!origin.covers(identity)) require_same(origin.identity, where_origin, identity, where_identity);
}

void set_concept_origin(const fs::path& manifest, const ConceptOrigin& origin) {
  const fs::path folder = manifest.parent_path();
  write_file_atomic(concept_identity_file(manifest), origin_json(origin, relative_to(origin.vocabulary, folder),
                                                                 relative_to(origin.embeddings, folder)));
}

std::optional<ConceptOrigin> concept_origin_of(const fs::path& manifest) {
  const fs::path file = concept_identity_file(manifest);
  if (!fs::exists(file)) return std::nullopt;
  return read_origin(file);
}

ConceptKit load_concept_kit(const ConceptOrigin& origin) {
  ConceptKit kit{origin, ConceptVocabulary::load(origin.vocabulary), load_vocabulary_embeddings(origin.embeddings)};
  if (kit.vocabulary.sha256() != origin.identity.vocabulary_sha256) {
    throw DataError(origin.vocabulary.string(), "has other words than when the concepts were assigned",
                    "Put the old vocabulary back, or assign the concepts again (`vicha concepts assign`)");
  }
  require_same(origin.identity, "the concepts that were assigned", kit.embeddings.identity, origin.embeddings.string());
  if (kit.embeddings.unit_VE.size(0) != kit.vocabulary.size()) {
    throw DataError(
        origin.embeddings.string(),
        fmt::format("holds {} words, the vocabulary has {}", kit.embeddings.unit_VE.size(0), kit.vocabulary.size()),
        "Delete it and assign the concepts again (`vicha concepts assign`)");
  }
  return kit;
}

std::optional<ConceptKit> checkpoint_concept_kit(const fs::path& checkpoint) {
  const fs::path file = checkpoint / kOriginFile;
  if (!fs::exists(file)) return std::nullopt;
  const std::optional<ConceptOrigin> origin = read_origin(file);
  if (!origin) throw DataError(file.string(), "does not say how concepts were made", "Take another checkpoint");
  return load_concept_kit(*origin);
}

std::vector<std::pair<std::string, std::string>> concept_kit_files(const ConceptKit& kit) {
  return {{kOriginFile, origin_json(kit.origin, kVocabularyFile, kEmbeddingsFile)},
          {kVocabularyFile, kit.vocabulary.text()},
          {kEmbeddingsFile, vocabulary_embeddings_bytes(kit.embeddings)}};
}

std::vector<PictureConcepts> nearest_concepts(const ConceptKit& kit, const at::Tensor& pictures_nE) {
  WordMatcher matcher(kit.embeddings.unit_VE,
                      {.k = kit.origin.k, .probabilities = kit.origin.threshold > 0, .scale = kit.embeddings.scale});
  const NearestWords nearest = matcher.nearest(pictures_nE);
  std::vector<PictureConcepts> all(static_cast<std::size_t>(nearest.pictures));
  for (std::int64_t i = 0; i < nearest.pictures; ++i) {
    PictureConcepts& concepts = all[static_cast<std::size_t>(i)];
    for (std::size_t j = 0; j < nearest.probable(i, kit.origin.threshold); ++j) {
      concepts.words.push_back(kit.vocabulary.word(nearest.words_of(i)[j]));
      concepts.cosines.push_back(nearest.cosines_of(i)[j]);
    }
  }
  return all;
}

}  // namespace vicha
