// `vicha concepts build`: from captions and images to a manifest with concepts, in one resumable chain (method,
// section 6).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "concepts/embed/embed.h"
#include "concepts/match/assign.h"
#include "concepts/parse/parse_captions.h"
#include "concepts/vocabulary/count_concepts.h"
#include "tasks/concepts/concept_sources.h"

namespace vicha {

struct ConceptBuild {
  std::filesystem::path captions;  ///< manifest: images and captions
  std::filesystem::path images;    ///< folder of the images; empty: the manifest's
  std::int64_t strip_parts = 0;
  std::filesystem::path out;  ///< the same manifest with `kwords`
  std::string source;         ///< "clip:FILE", "vicha:CHECKPOINT"
  ConceptSourceOptions source_options = {};
  std::filesystem::path vocabulary;  ///< a ready one; empty: made from the captions
  ParseOptions parse = {};
  CountOptions count = {};
  std::vector<std::string> prompts = {};
  EmbedOptions embed = {};
  AssignOptions assign = {};
};

/// Parses the captions, counts a vocabulary, embeds it and the images, assigns. What is made on the way lies in OUT's
/// folder of parts (`pretrain.concepts.json` -> `pretrain.concepts.parts/`): captions.jsonl, vocabulary.tsv,
/// vocabulary.safetensors, pictures.emb. Repeated after a kill it goes on where it was and ends with the same file; a
/// part that was made of other captions or by another source is made again.
AssignReport build_concepts(const ConceptBuild& build);

}  // namespace vicha
