// Several outputs of one command are several files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

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

}  // namespace vicha
