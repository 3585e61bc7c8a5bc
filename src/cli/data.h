// The parts of `vicha data`, one function and one file each (data_filter.cpp, …).
#pragma once

#include <filesystem>

#include "cli/commands.h"

namespace vicha::cli {

void add_data_answers(CLI::App& group, Action& chosen);
void add_data_convert(CLI::App& group, Action& chosen);
void add_data_demo(CLI::App& group, Action& chosen);
void add_data_filter(CLI::App& group, Action& chosen);
void add_data_from_tar(CLI::App& group, Action& chosen);
void add_data_join(CLI::App& group, Action& chosen);
void add_data_nearest_captions(CLI::App& group, Action& chosen);
void add_data_prune(CLI::App& group, Action& chosen);
void add_data_region_tags(CLI::App& group, Action& chosen);
void add_data_subset(CLI::App& group, Action& chosen);
void add_data_titles(CLI::App& group, Action& chosen);

/// Warns where `out` lies in another folder than `in`: relative names of images stay as they are, and stand for files
/// beside `in`.
void warn_if_moved(const std::filesystem::path& in, const std::filesystem::path& out);

}  // namespace vicha::cli
