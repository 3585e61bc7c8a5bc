// What both builders of `vicha data demo` do alike.
#pragma once

#include <algorithm>
#include <filesystem>
#include <thread>

#include "base/error.h"

namespace vicha::demo {

/// Files below a set's folder that say whose pictures its images/ holds.
inline constexpr const char* kRetrievalMarker = "set.txt";
inline constexpr const char* kScenesMarker = "scenes.txt";

inline int threads_of(int asked) {
  return asked > 0 ? asked : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// Throws UsageError if the folder is that of the other builder's set, whose stats.json would be lost.
inline void require_no_other_set(const std::filesystem::path& out, const char* marker, const char* set) {
  if (std::filesystem::exists(out / "images" / marker)) {
    throw UsageError("--out " + out.string() + ": holds the " + set + ". Name a folder of its own for each set");
  }
}

/// Calls `build`; what the file system refuses is told with the path.
template <class Build>
auto with_paths_named(Build&& build) {
  try {
    return build();
  } catch (const std::filesystem::filesystem_error& problem) {
    throw Error(problem.path1().string() + ": " + problem.code().message() +
                ". See that the sources can be read and the output folder can be written, and repeat");
  }
}

}  // namespace vicha::demo
