// A model of `vicha align` as a source of concepts: pictures and words through its towers and heads into one space.
#pragma once

#include <filesystem>
#include <memory>

#include "concepts/source/source.h"
#include "tasks/align/aligned_model.h"
#include "tasks/concepts/concept_sources.h"

namespace vicha {

/// Throws DataError as AlignedModel and its towers do: both are opened here.
std::unique_ptr<ConceptSource> open_aligned_source(const std::filesystem::path& folder,
                                                   const ConceptSourceOptions& options = {});

/// aligned:RUN.
ConceptSourceKind aligned_source_kind();

}  // namespace vicha
