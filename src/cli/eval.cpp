#include <CLI/CLI.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/named_outputs.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "report/comparison.h"
#include "tasks/host/model_files.h"
#include "tasks/host/picture_feed.h"
#include "train/device.h"

namespace vicha::cli {
namespace {

void add_compare(CLI::App& eval, Action& chosen) {
  struct Given {
    std::vector<std::string> groups;
    std::string out;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = eval.add_subcommand(
      "compare",
      "Runs evaluated by retrieval side by side: mean and spread over seeds, and what is gained over the first group");
  command
      ->add_option("GROUP", given->groups,
                   "RUN, or NAME=RUN,RUN for several seeds of one recipe; each RUN holds eval.json of eval retrieval")
      ->required();
  command->add_option("--out", given->out, "Also write the result as JSON");
  command->callback([given, &chosen] {
    chosen = [given] {
      std::vector<RunGroup> groups;
      for (const std::string& group : given->groups) groups.push_back(RunGroup::parse(group));
      const Comparison comparison = compare_runs(groups);
      if (!given->out.empty()) write_file_atomic(given->out, comparison.to_json() + "\n");
      print(comparison.to_table());
      return 0;
    };
  });
}

/// An error about the setting that a flag stands for, with the flag in its place: "--k-test -1: …".
std::string as_given(std::string message, const std::vector<EvaluationFlag>& flags) {
  for (const EvaluationFlag& flag : flags) {
    const std::string setting = "--set " + flag.key + "=";
    if (message.starts_with(setting)) return flag.flag + " " + message.substr(setting.size());
  }
  return message;
}

/// The setting of an evaluation that names a file to be written beside --out.
constexpr std::string_view kSubmission = "submission";

void require_distinct_outputs(const EvaluateCommand& run, const std::string& out) {
  std::vector<NamedOutput> outputs = {{"--out", out}};
  const std::string setting = std::string(kSubmission) + "=";
  for (const std::string& given : run.settings) {
    if (given.starts_with(setting)) outputs.push_back({"--" + std::string(kSubmission), given.substr(setting.size())});
  }
  require_distinct(outputs);
}

void add_evaluation(CLI::App& eval, const TaskKind& kind, Action& chosen) {
  struct Given {
    EvaluateCommand command;
    std::string out, precision = "fp32";
  };
  const auto given = std::make_shared<Given>();
  EvaluateCommand& run = given->command;
  CLI::App* command = eval.add_subcommand(kind.key, kind.about);
  command
      ->add_option("CHECKPOINT", run.checkpoint,
                   "Checkpoint folder, or a run's folder: its best checkpoint where it judged them, else the last")
      ->required();
  command->add_option("MANIFEST", run.manifest, "Evaluation set")->required();
  for (const EvaluationFlag& flag : kind.evaluation_flags) {
    if (flag.is_switch) {
      command->add_flag_callback(
          flag.flag, [&run, key = flag.key] { run.settings.push_back(key + "=true"); }, flag.help);
      continue;
    }
    command->add_option_function<std::string>(
        flag.flag, [&run, key = flag.key](const std::string& value) { run.settings.push_back(key + "=" + value); },
        flag.help);
  }
  command->add_option("--out", given->out, "Also write the result as JSON");
  add_finder_options(*command, run.concepts);
  command->add_option("--image-root", run.image_root, "Folder of the pictures (default: the manifest's)");
  command->add_option("--precision", given->precision, "auto, fp32 or bf16")->capture_default_str();
  add_tower(*command, run.tower);
  add_device(*command, run.device);
  command->callback([given, &kind, &chosen] {
    chosen = [given, &kind] {
      EvaluateCommand& run = given->command;
      require_distinct_outputs(run, given->out);
      guard_checkpoint(run.checkpoint);
      std::optional<GuardedOutput> out;  // before the work, so that it is not in vain
      if (!given->out.empty()) out.emplace(given->out);
      run.precision = parse_precision(given->precision);
      const EvaluateResult result = [&] {
        try {
          return evaluate_trained(kind, run);
        } catch (const UsageError& error) {
          throw UsageError(as_given(error.what(), kind.evaluation_flags));
        }
      }();
      if (!given->out.empty()) write_file_atomic(given->out, result.json + "\n");
      print(result.table);
      return 0;
    };
  });
}

}  // namespace

void add_eval(CLI::App& app, Action& chosen) {
  CLI::App* eval = app.add_subcommand("eval", "Evaluate a trained model")->require_subcommand(1);
  add_compare(*eval, chosen);
  for (const TaskKind& kind : task_kinds()) {
    if (kind.evaluate) add_evaluation(*eval, kind, chosen);
  }
}

}  // namespace vicha::cli
