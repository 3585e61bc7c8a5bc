#include "train/resume.h"

#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "train/checkpoint_folder.h"

namespace vicha {

ResumeChoice ResumeChoice::parse(std::string_view text) {
  if (text == "auto") return {Kind::kAuto};
  if (text == "none") return {Kind::kNone};
  if (text.empty()) throw UsageError("--resume: one of auto, none, or the folder of a checkpoint");
  return {Kind::kCheckpoint, fs::path(text)};
}

std::optional<fs::path> starting_point(const ResumeChoice& choice, const fs::path& out) {
  if (choice.kind == ResumeChoice::Kind::kNone) return std::nullopt;
  const bool named = choice.kind == ResumeChoice::Kind::kCheckpoint;
  const fs::path run = named ? choice.path : out;
  if (named && fs::exists(run / "state.json")) return run;
  const std::vector<FoundCheckpoint> found = list_checkpoints(run);
  if (!found.empty()) return found.back().path;
  if (!named) return std::nullopt;
  throw DataError(run.string(), "is neither a checkpoint nor the folder of a run that has one",
                  "Name a folder …/checkpoints/step-NNNNNN, or use --resume auto");
}

}  // namespace vicha
