// A trained model's own contrast as a source of concepts: the pretraining without concepts supplies them for the next
// one (method, section 6.2).
// B images, n texts, E width of the common embedding.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "concepts/source/source.h"
#include "tasks/concepts/concept_sources.h"
#include "tasks/host/task_kind.h"

namespace vicha {

/// Of a model whose pictures and words are to be compared by its contrast. Throws DataError naming `where` and the task
/// if that task trains no contrast (its towers have moved on without it, and it may read two pictures); warns where a
/// pretraining left it out.
void require_contrast(const LoadedModel& model, const std::string& where);

/// Online weights of a checkpoint folder of `vicha pretrain` (or a run's folder: its best or last checkpoint), in
/// evaluation mode, fp32. Images pass the model's evaluation transform (the whole image, squashed), or the tower whose
/// features it reads; texts are cleaned and cut as captions are. Throws DataError as require_contrast, naming what is
/// missing, or if the model reads concepts itself: its image tower cannot say what is in an image before it has been
/// told.
std::unique_ptr<ConceptSource> open_vicha_source(const std::filesystem::path& checkpoint, const std::string& device);

/// vicha:CHECKPOINT.
ConceptSourceKind vicha_source_kind();

}  // namespace vicha
