// One function per subcommand: registers its options with CLI11 and what to run when it is chosen.
#pragma once

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace vicha::cli {

/// What the chosen subcommand does; returns the exit status.
using Action = std::function<int()>;

void add_pretrain(CLI::App& app, Action& chosen);
void add_align(CLI::App& app, Action& chosen);
/// Nothing where no task is known that can be fine-tuned.
void add_finetune(CLI::App& app, Action& chosen);
/// Nothing where no task is known that answers raw input.
void add_predict(CLI::App& app, Action& chosen);
void add_eval(CLI::App& app, Action& chosen);
void add_ablate(CLI::App& app, Action& chosen);
void add_report(CLI::App& app, Action& chosen);
void add_index(CLI::App& app, Action& chosen);
void add_search(CLI::App& app, Action& chosen);
void add_data(CLI::App& app, Action& chosen);
void add_concepts(CLI::App& app, Action& chosen);
void add_embed(CLI::App& app, Action& chosen);
void add_weights(CLI::App& app, Action& chosen);
void add_config(CLI::App& app, Action& chosen);
void add_bench(CLI::App& app, Action& chosen);

/// Results go to standard output, everything else to the log. Control characters are escaped (base/printable.h) but for
/// the line feeds and tabs of the program's layout; in JSON as JSON escapes them.
void print(const std::string& text);
void print_json(const std::string& json);

}  // namespace vicha::cli
