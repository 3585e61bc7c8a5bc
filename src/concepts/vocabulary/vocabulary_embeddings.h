// The words of a vocabulary as vectors of a source, kept in a file with what they depend on.
// V words, E width.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "concepts/source/identity.h"
#include "concepts/source/source.h"
#include "concepts/vocabulary/concept_vocabulary.h"

namespace vicha {

struct VocabularyEmbeddings {
  at::Tensor unit_VE = {};  ///< fp32, length 1
  double scale = 1;         ///< the source's
  ConceptIdentity identity = {};
};

/// `{}` of the template replaced by the word, everywhere it stands.
std::string fill_prompt(std::string_view prompt, std::string_view word);
/// Several templates as ConceptIdentity holds them; none: "{}". Throws UsageError if one lacks `{}`.
std::string prompt_identity(std::span<const std::string> prompts);
/// What embeddings of a vocabulary by a source depend on.
ConceptIdentity identity_of(const ConceptSource& source, const ConceptVocabulary& vocabulary,
                            std::span<const std::string> prompts);

/// With several templates a word's vector is the mean of their normalised vectors, normalised (as CLIP's users do).
///
/// `file`, if not empty, holds them as safetensors: tensor `embeddings` (V, E), metadata `identity` and `scale`. If it
/// is there already and of the same identity it is read instead; if of another it is made again. While it is made,
/// FILE.partial holds what is done, so that a repeated command goes on.
VocabularyEmbeddings embed_vocabulary(ConceptSource& source, const ConceptVocabulary& vocabulary,
                                      std::span<const std::string> prompts, const std::filesystem::path& file = {});

void save_vocabulary_embeddings(const VocabularyEmbeddings& embeddings, const std::filesystem::path& file);
/// What such a file holds.
std::string vocabulary_embeddings_bytes(const VocabularyEmbeddings& embeddings);
/// Throws DataError naming the file if it is not one.
VocabularyEmbeddings load_vocabulary_embeddings(const std::filesystem::path& file);

}  // namespace vicha
