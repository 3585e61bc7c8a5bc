// Where a run starts: at the beginning or at a checkpoint.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace vicha {

/// `--resume auto|none|CHECKPOINT`.
struct ResumeChoice {
  enum class Kind {
    kAuto,        ///< at the run's last checkpoint if there is one
    kNone,        ///< at the beginning
    kCheckpoint,  ///< at `path`, a checkpoint, or a run's folder for its last one
  };
  Kind kind = Kind::kAuto;
  std::filesystem::path path = {};

  /// Throws UsageError if the text is empty.
  static ResumeChoice parse(std::string_view text);
};

/// The checkpoint that a run in the folder `out` starts from, if any. Throws DataError if the choice names a folder
/// that is neither a checkpoint nor a run that has one.
std::optional<std::filesystem::path> starting_point(const ResumeChoice& choice, const std::filesystem::path& out);

}  // namespace vicha
