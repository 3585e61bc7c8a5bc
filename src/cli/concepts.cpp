#include "cli/concepts.h"

#include <CLI/CLI.hpp>

namespace vicha::cli {

void add_concepts(CLI::App& app, Action& chosen) {
  CLI::App& group =
      *app.add_subcommand("concepts", "Visual concepts: from captions and pictures to the words a model reads");
  group.require_subcommand(1);
  (void)chosen;
}

}  // namespace vicha::cli
