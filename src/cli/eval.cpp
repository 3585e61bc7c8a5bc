#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "data/pipeline/evaluation.h"
#include "nn/precision.h"
#include "report/comparison.h"
#include "tasks/concept_finder.h"
#include "tasks/model_files.h"
#include "tasks/retrieval.h"
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
      "compare", "Evaluated runs side by side: mean and spread over seeds, and what is gained over the first group");
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

}  // namespace

void add_eval(CLI::App& app, Action& chosen) {
  struct Given {
    std::string checkpoint, manifest, out, device = "auto", image_root, precision = "fp32";
    std::optional<Ranking> ranking;
    std::int64_t k_test = -1, batch_size = 0, memory_mib = RetrievalOptions().memory_mib;
    ConceptFinderOptions concepts;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* eval = app.add_subcommand("eval", "Evaluate a trained model")->require_subcommand(1);
  add_compare(*eval, chosen);
  CLI::App* command =
      eval->add_subcommand("retrieval", "Zero-shot retrieval in both directions: contrast, then matching of the best");
  command->add_option("CHECKPOINT", given->checkpoint, "Checkpoint folder, or a run's folder for its last one")
      ->required();
  command->add_option("MANIFEST", given->manifest, "Retrieval set")->required();
  command->add_option("--k-test", given->k_test,
                      "Candidates that are matched; 0: contrast alone (default: eval.k_test of the recipe)");
  add_choice(*command, "--ranking", given->ranking, kRankingNames,
             "What orders them: matching (the paper's) or joint, with contrast (default: eval.ranking of the recipe)");
  command->add_option("--out", given->out, "Also write the result as JSON");
  command->add_option("--batch", given->batch_size,
                      "Pictures encoded at once (default: eval.batch_size of the recipe)");
  command
      ->add_option("--memory-mib", given->memory_mib,
                   "Memory for encoded pictures; what does not fit is encoded again, with the same result")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 24));
  add_finder_options(*command, given->concepts);
  command->add_option("--image-root", given->image_root, "Folder of the pictures (default: the manifest's)");
  command->add_option("--precision", given->precision, "auto, fp32 or bf16")->capture_default_str();
  add_device(*command, given->device);
  command->callback([given, &chosen] {
    chosen = [given] {
      const LoadedModel loaded = load_trained(given->checkpoint, given->device);
      DataOptions data = loaded.recipe.data;
      data.manifests = {given->manifest};
      data.image_root = given->image_root;
      data.strip_parts = given->image_root.empty() ? 0 : data.strip_parts;
      ConceptFinderOptions finding = given->concepts;
      finding.tower.device = given->device;
      const std::filesystem::path checkpoint = checkpoint_folder(given->checkpoint);
      ConceptFinder finder(checkpoint_concept_kit(checkpoint), checkpoint.string(), finding);
      const auto set = finder.load(data, loaded.tokenizer);
      const Bf16Scope scope(use_bf16(parse_precision(given->precision), loaded.model->device()));
      const RetrievalResult result =
          evaluate_retrieval(*loaded.model, set,
                             {.k_test = given->k_test >= 0 ? given->k_test : loaded.recipe.eval.k_test,
                              .ranking = given->ranking.value_or(loaded.recipe.eval.ranking),
                              .batch_size = given->batch_size > 0 ? given->batch_size : loaded.recipe.eval.batch_size,
                              .memory_mib = given->memory_mib});
      if (!given->out.empty()) {
        auto json = nlohmann::ordered_json::parse(result.to_json());
        json["manifest"] = given->manifest;
        json["checkpoint"] = given->checkpoint;
        json["precision"] = given->precision;
        json["concepts"] = finder.describe(data);
        write_file_atomic(given->out, json.dump(1) + "\n");
      }
      print(result.to_table());
      return 0;
    };
  });
}

}  // namespace vicha::cli
