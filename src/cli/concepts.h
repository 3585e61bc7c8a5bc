// The parts of `vicha concepts`, one function and one file each (concepts_parse.cpp, …).
#pragma once

#include "cli/commands.h"

namespace vicha::cli {

void add_concepts_build(CLI::App& group, Action& chosen);
void add_concepts_parse(CLI::App& group, Action& chosen);
void add_concepts_vocab(CLI::App& group, Action& chosen);
void add_concepts_embed(CLI::App& group, Action& chosen);
void add_concepts_assign(CLI::App& group, Action& chosen);
void add_concepts_show(CLI::App& group, Action& chosen);
void add_concepts_store(CLI::App& group, Action& chosen);

}  // namespace vicha::cli
