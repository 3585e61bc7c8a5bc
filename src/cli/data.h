// The parts of `vicha data`, one function and one file each (data_filter.cpp, …).
#pragma once

#include "cli/commands.h"

namespace vicha::cli {

void add_data_filter(CLI::App& group, Action& chosen);
void add_data_from_tar(CLI::App& group, Action& chosen);
void add_data_join(CLI::App& group, Action& chosen);
void add_data_nearest_captions(CLI::App& group, Action& chosen);
void add_data_prune(CLI::App& group, Action& chosen);
void add_data_subset(CLI::App& group, Action& chosen);
void add_data_titles(CLI::App& group, Action& chosen);

}  // namespace vicha::cli
