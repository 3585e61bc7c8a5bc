// The words of a vocabulary as vectors of a source, kept in a file with what they depend on.
// V words, E width.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "concepts/kit/concept_kit.h"
#include "concepts/source/source.h"
#include "concepts/vocabulary/concept_vocabulary.h"

namespace vicha {

/// `{}` of the template replaced by the word, everywhere it stands.
std::string fill_prompt(std::string_view prompt, std::string_view word);
/// Several templates as ConceptProvenance holds them; none: "{}". Throws UsageError if one lacks `{}`.
std::string joined_prompts(std::span<const std::string> prompts);

/// A kit of the vocabulary by the source; how many concepts an image gets is left to the caller. With several
/// templates a word's vector is the mean of their normalised vectors, normalised (as CLIP's users do).
///
/// `file`, if not empty, holds the vectors as safetensors: tensor `embeddings` (V, E), metadata `identity` and `scale`.
/// If it is there already and of the same identity it is read instead; if of another it is made again. While it is
/// made, FILE.partial holds what is done, so that a repeated command goes on.
ConceptKit embed_vocabulary(ConceptSource& source, const ConceptVocabulary& vocabulary,
                            std::span<const std::string> prompts, const std::filesystem::path& file = {});

void save_vocabulary_embeddings(const ConceptKit& kit, const std::filesystem::path& file);
/// What such a file holds.
std::string vocabulary_embeddings_bytes(const ConceptKit& kit);
/// The kit's provenance is what the file says: it is the caller's to see that it is the vocabulary's. Throws DataError
/// naming the file if it is not one, or has not one vector for each word of the vocabulary that it says it is of.
ConceptKit load_vocabulary_embeddings(const std::filesystem::path& file, ConceptVocabulary vocabulary);

}  // namespace vicha
