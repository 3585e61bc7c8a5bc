#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "cli/commands.h"
#include "cli/options.h"
#include "tasks/host/model_files.h"
#include "tasks/host/picture_feed.h"

namespace vicha::cli {

void add_predict(CLI::App& app, Action& chosen) {
  CLI::App* predict = nullptr;
  for (const TaskKind& kind : task_kinds()) {
    if (!kind.predict) continue;
    if (predict == nullptr) {
      predict = app.add_subcommand("predict", "Answers of a trained model on raw input")->require_subcommand(1);
    }
    struct Given {
      PredictCommand command;
      std::string input, tower;
    };
    const auto given = std::make_shared<Given>();
    CLI::App* command = predict->add_subcommand(kind.key, kind.about);
    command
        ->add_option("CHECKPOINT", given->command.checkpoint, "Checkpoint folder, or a run's folder for its last one")
        ->required();
    command->add_option("INPUT", given->input, "A JSON object; without it, one a line from standard input");
    add_finder_options(*command, given->command.concepts);
    add_tower(*command, given->tower);
    add_device(*command, given->command.device);
    command->callback([given, &kind, &chosen] {
      chosen = [given, &kind] {
        LoadedModel loaded = load_trained(given->command.checkpoint, given->command.device, &kind);
        if (!given->tower.empty()) set_tower(loaded, given->tower);
        const Predictor predict = kind.predict(loaded, given->command);
        if (!given->input.empty()) {
          print_json(predict({given->input}) + "\n");
          return 0;
        }
        for (std::string line; std::getline(std::cin, line);) {
          if (!line.empty()) print_json(predict({line}) + "\n");
        }
        return 0;
      };
    });
  }
}

}  // namespace vicha::cli
