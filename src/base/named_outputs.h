// Several outputs of one command are several files.
#pragma once

#include <filesystem>
#include <list>
#include <string>
#include <vector>

#include "base/file_guard.h"

namespace vicha {

/// A file that a command writes, and what names it for the user: "--list", "the list beside --out".
struct NamedOutput {
  std::string name;
  std::filesystem::path path;  ///< empty: not written
};

/// Throws UsageError, naming both, if two of the outputs are one file: by spelling, by links of either kind, or as a
/// name under which nothing is yet. A command that has several asks this before its work; that no output is an input,
/// base/file_guard sees to.
void require_distinct(const std::vector<NamedOutput>& outputs);

/// A command's outputs, those included whose names it derives (OUT.identity.json), refused before its work and guarded
/// (GuardedOutput) as long as this lives. What a command goes on with, it still says by go_on_with.
class GuardedOutputs {
 public:
  /// Throws UsageError as require_distinct does, and if an output is one of `inputs` or was read before. Inputs that
  /// are not there, or no files, are left to who reads them; empty paths are none.
  GuardedOutputs(const std::vector<NamedOutput>& outputs, const std::vector<std::filesystem::path>& inputs);

 private:
  std::list<GuardedOutput> guards_;
};

}  // namespace vicha
