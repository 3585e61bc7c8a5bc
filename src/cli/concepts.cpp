#include "cli/concepts.h"

#include <CLI/CLI.hpp>

namespace vicha::cli {

void add_concepts(CLI::App& app, Action& chosen) {
  CLI::App& group =
      *app.add_subcommand("concepts", "Visual concepts: from captions and pictures to the words a model reads");
  group.require_subcommand(1);
  add_concepts_build(group, chosen);
  add_concepts_parse(group, chosen);
  add_concepts_vocab(group, chosen);
  add_concepts_embed(group, chosen);
  add_concepts_assign(group, chosen);
  add_concepts_show(group, chosen);
  add_concepts_store(group, chosen);
}

}  // namespace vicha::cli
