// What commands that read raw images are told about concepts.
#pragma once

#include <filesystem>
#include <string>

#include "config/choice.h"

namespace vicha {

/// How a source of concepts is opened.
struct ConceptSourceOptions {
  std::string device = "auto";
  std::filesystem::path bpe = {};  ///< CLIP's byte-pair vocabulary; empty: looked for beside the weights
  bool exact_decode = false;       ///< CLIP: every pixel of a JPEG, as OpenAI's code does
  /// SPECs of the towers (towers/registry.h) of what stands on such; empty: where they were when it was made.
  std::string image_tower = {}, text_tower = {};
};

/// Where the concepts of an evaluation set's images come from.
enum class ConceptsFrom {
  kAuto,      ///< the manifest where it has such as the model knows, else the images
  kFind,      ///< the images
  kManifest,  ///< whatever it has
  kNone       ///< the model reads none
};

inline constexpr Choice<ConceptsFrom> kConceptsFromNames[] = {{"auto", ConceptsFrom::kAuto},
                                                              {"find", ConceptsFrom::kFind},
                                                              {"manifest", ConceptsFrom::kManifest},
                                                              {"none", ConceptsFrom::kNone}};

/// What a user says about them.
struct ConceptFinderOptions {
  ConceptsFrom from = ConceptsFrom::kAuto;
  std::string source = {};           ///< where the source's weights are now; empty: where they were in training
  std::filesystem::path cache = {};  ///< store of the images' embeddings; empty: beside the manifest
  ConceptSourceOptions tower = {};   ///< how the source is opened
  bool dispensable = true;           ///< whether the command has `--concepts none`, which messages offer then
};

}  // namespace vicha
