// How embeddings and concepts came about. Kept with everything that is computed from a source: a store, a vocabulary's
// embeddings, the `kwords` of a manifest, a checkpoint. Mixing two is an error that names both.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

/// What identifies a source: the weights that turn images and texts into vectors, and how an image is put before
/// them. All that embeddings of images depend on.
struct SourceWeights {
  std::string kind;    ///< "clip", "vicha", "manifest"
  std::string name;    ///< for people: "ViT-B/32, 151 M parameters", a checkpoint's folder name
  std::string sha256;  ///< of the tensors' names, types, shapes and values: the same weights in another file are equal
  std::string view;    ///< preprocessing: "clip 224", "whole 256"

  /// Name excepted.
  bool same(const SourceWeights& other) const;
  /// "clip ViT-B/32 (weights 0123456789ab, clip 224)".
  std::string describe() const;
};

/// How words come from the captions of like pictures, where no vectors of words are compared.
struct NeighbourChoice {
  std::int64_t count = 20;        ///< nearest pictures that are asked
  double temperature = 0.1;       ///< each counts by exp(cosine / this)
  std::string group = {};         ///< field of the records; pictures of the same group are not asked; "": none
  std::string table_sha256 = {};  ///< of the pictures and what their captions name (concepts/kit/neighbour_table)
  // Where they lie.
  std::filesystem::path store = {};  ///< the pictures' features
  std::string image_tower = {};      ///< SPEC of the tower that made them; "": nobody said

  /// Whether words come about in the same way: all but where things lie.
  bool same(const NeighbourChoice& other) const;
};

/// How concepts were made: the source, and what was done with it.
struct ConceptProvenance {
  // What an image's concepts depend on besides the image.
  SourceWeights weights = {};
  std::string vocabulary_sha256 = {};  ///< of the words in their order
  std::string prompt = "{}";           ///< the template that a word is put into before it is embedded
  /// SHA-256 of the vocabularies that this one is the union of, sorted; empty: it is not merged.
  std::vector<std::string> merged_from = {};

  // How they were chosen, and where the parts lie. Embeddings of a vocabulary, and tags of regions, say none of it.
  std::string source = {};  ///< "clip:FILE", "aligned:RUN", "manifest:FIELD" … as it was given; empty: nobody said
  std::int64_t k = 15;
  double threshold = 0;                            ///< least softmax(scale * cosine); 0: none
  std::optional<NeighbourChoice> neighbours = {};  ///< of "tower:STORE"
  /// Empty for "manifest:FIELD", and for what was merged in memory. Of "tower:STORE", `embeddings` is the table.
  std::filesystem::path vocabulary = {}, embeddings = {};

  /// Whether concepts of the two are interchangeable: the same weights, vocabulary and prompt.
  bool same(const ConceptProvenance& other) const;
  /// Whether concepts of the other are such as a model of this one knows: the same, or of a vocabulary that is merged
  /// in this one.
  bool covers(const ConceptProvenance& other) const;
  /// Weights, vocabulary and prompt.
  std::string describe() const;
};

/// Throw DataError naming both and where each stands, and what to do (compute one of them again).
void require_same(const SourceWeights& a, std::string_view where_a, const SourceWeights& b, std::string_view where_b);
void require_same(const ConceptProvenance& a, std::string_view where_a, const ConceptProvenance& b,
                  std::string_view where_b);
/// The same if `a` does not cover `b`.
void require_covered(const ConceptProvenance& a, std::string_view where_a, const ConceptProvenance& b,
                     std::string_view where_b);

std::string to_json(const SourceWeights& weights);
/// Throws DataError naming `where` if the text is not one.
SourceWeights source_weights_from_json(std::string_view json, std::string_view where);

/// On one line: weights, vocabulary and prompt, what `same` compares.
std::string identity_json(const ConceptProvenance& provenance);
/// All of it, as a file; it names vocabulary and embeddings as it is told.
std::string provenance_json(const ConceptProvenance& provenance, const std::string& vocabulary,
                            const std::string& embeddings);
/// Reads either. Paths of vocabulary and embeddings stay as they are named. Throws DataError naming `where` if the text
/// is neither.
ConceptProvenance concept_provenance_from_json(std::string_view json, std::string_view where);
/// The same of a file; paths are relative to its folder.
ConceptProvenance read_concept_provenance(const std::filesystem::path& file);

/// MANIFEST.identity.json, where a manifest says how its concepts came about.
std::filesystem::path concept_provenance_file(const std::filesystem::path& manifest);
/// Nothing if there is no such file.
std::optional<ConceptProvenance> concept_provenance_of(const std::filesystem::path& manifest);
/// Writes it, atomically: all of it with paths relative to the manifest's folder, or the identity alone where nobody
/// said how the concepts were chosen.
void set_concept_provenance(const std::filesystem::path& manifest, const ConceptProvenance& provenance);

/// Of the first k words that the records of a manifest hold in a field already.
ConceptProvenance field_provenance(std::string_view field, std::int64_t k);

}  // namespace vicha
