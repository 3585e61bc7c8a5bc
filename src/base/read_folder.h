// Folders that are read as one thing, such as a checkpoint; a part of base/file_guard.
#pragma once

#include <filesystem>

namespace vicha {

/// Each file of the folder counts as read, and nothing may be written into it: a GuardedOutput there throws UsageError,
/// now or later. What is no folder is passed over.
void note_input_folder(const std::filesystem::path& folder);

/// But for `path`, which this command reads and keeps there itself, from here on.
void may_be_kept(const std::filesystem::path& path);

}  // namespace vicha
