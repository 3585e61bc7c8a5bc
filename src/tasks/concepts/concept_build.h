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

/// Of "tower:STORE": whose words a picture gets.
struct NeighbourBuild {
  std::filesystem::path captions = {};  ///< manifest of the pictures that are asked; empty: ConceptBuild's own
  std::int64_t count = 20;
  double temperature = 0.1;
  std::string group = {};  ///< NeighbourChoice's
};

struct ConceptBuild {
  std::filesystem::path captions;  ///< manifest: images and captions
  std::filesystem::path images;    ///< folder of the images; empty: the manifest's
  std::int64_t strip_parts = 0;
  std::filesystem::path out;  ///< the same manifest with `kwords`
  std::string source;         ///< "clip:FILE", "vicha:CHECKPOINT", "aligned:RUN", "tower:STORE"
  ConceptSourceOptions source_options = {};
  std::filesystem::path vocabulary;  ///< a ready one; empty: made from the captions
  ParseOptions parse = {};
  CountOptions count = {};
  std::vector<std::string> prompts = {};
  EmbedOptions embed = {};
  AssignOptions assign = {};
  NeighbourBuild neighbours = {};
};

/// Parses the captions, counts a vocabulary, embeds it and the images, assigns. What is made on the way lies in OUT's
/// folder of parts (`pretrain.concepts.json` -> `pretrain.concepts.parts/`): captions.jsonl, vocabulary.tsv,
/// vocabulary.safetensors, pictures.emb. Repeated after a kill it goes on where it was and ends with the same file; a
/// part that was made of other captions or by another source is made again.
///
/// Of "tower:STORE": parses the captions of the pictures that are asked, counts their vocabulary, notes what each names
/// (neighbours.safetensors), and gives the manifest's pictures the words of those that are most like them. Pictures
/// that STORE lacks are embedded into it if the options name the tower (image_tower).
AssignReport build_concepts(const ConceptBuild& build);

}  // namespace vicha
