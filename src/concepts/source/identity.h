// Where embeddings and concepts come from. Kept with everything computed from a source: a store, a vocabulary's
// embeddings, the `kwords` of a manifest, a checkpoint. Mixing two is an error that names both.
#pragma once

#include <string>
#include <string_view>

namespace vicha {

/// The weights that turn pictures and texts into vectors, and how a picture is put before them.
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

/// What concepts of a picture depend on besides the picture.
struct ConceptIdentity {
  SourceWeights weights;
  std::string vocabulary_sha256;  ///< of the words in their order
  std::string prompt = "{}";      ///< the template that a word is put into before it is embedded

  bool same(const ConceptIdentity& other) const;
  std::string describe() const;
};

std::string to_json(const SourceWeights& weights);
std::string to_json(const ConceptIdentity& identity);
/// Throw DataError naming `where` if the text is not one.
SourceWeights source_weights_from_json(std::string_view json, std::string_view where);
ConceptIdentity concept_identity_from_json(std::string_view json, std::string_view where);

/// Throws DataError naming both and where each stands, and what to do (compute one of them again).
void require_same(const SourceWeights& a, std::string_view where_a, const SourceWeights& b, std::string_view where_b);
void require_same(const ConceptIdentity& a, std::string_view where_a, const ConceptIdentity& b,
                  std::string_view where_b);

}  // namespace vicha
