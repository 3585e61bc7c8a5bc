// Models from files: starting weights of a run, and checkpoint folders read back.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tasks/host/task_kind.h"
#include "text/wordpiece/wordpiece.h"

namespace vicha {

/// Fills a fresh model and logs what was loaded, missing and left aside. Throws DataError if a file does not fit the
/// model.
void initialise_model(TaskModel& model, const InitOptions& init);

/// The vocabulary as a tokenizer; throws UsageError if the recipe names none, or DataError if its size or special ids
/// are not the model's.
std::shared_ptr<const WordPiece> load_tokenizer(const std::filesystem::path& vocabulary, const TextOptions& text);

/// The folder itself if it is a checkpoint, or of a run's folder the best checkpoint, where the run judged them
/// (TaskTraining::early_stop), else the last. Throws DataError if it is neither.
std::filesystem::path checkpoint_folder(const std::filesystem::path& folder);
/// Throws UsageError, by name, if an output of this command is a file of the checkpoint, or one that the run keeps of
/// itself (metrics.jsonl, evaluations.jsonl, run.lock); later ones are refused as well (base/file_guard.h). A new file
/// elsewhere in the run's folder may be written. `folder` as in checkpoint_folder.
void guard_checkpoint(const std::filesystem::path& folder);

/// A checkpoint folder of any task (or a run's folder: its last checkpoint). Throws DataError naming what is
/// missing; with `asked` also if the model is of another task than that kind evaluates.
LoadedModel load_trained(const std::filesystem::path& folder, const std::string& device,
                         const TaskKind* asked = nullptr);

/// `vicha eval KIND CHECKPOINT MANIFEST`, whatever the checkpoint is a model of. Throws as load_trained and the kind
/// do.
EvaluateResult evaluate_trained(const TaskKind& kind, const EvaluateCommand& command);

/// Throws DataError naming `file` unless the model's temperature is above 0: cosines are divided by it.
void require_temperature(const Vicha& model, std::string_view file);

}  // namespace vicha
