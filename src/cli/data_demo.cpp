#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/data.h"
#include "cli/options.h"
#include "demo/demo.h"
#include "demo/scenes/scenes.h"

namespace vicha::cli {
namespace {

std::string records_table(const std::vector<std::pair<std::string, std::int64_t>>& records) {
  std::string text;
  for (const auto& [name, count] : records) text += fmt::format("{:<21}{:>7} records\n", name, count);
  return text;
}

int build_retrieval_set(const DemoOptions& options) {
  const BuildReport report = build_demo(options);
  print(records_table(report.records) +
        fmt::format("{} training pictures of {} concepts, {} concepts held out, {} words in vocab.txt; {} pictures "
                    "drawn, {} kept\n",
                    report.training_images, report.training_concepts, report.held_out_concepts, report.vocabulary,
                    report.images_drawn, report.images_kept));
  return 0;
}

int build_scene_set(const SceneOptions& options) {
  const SceneReport report = build_scenes(options);
  std::string text = records_table(report.records) + "\npercent right   by chance   without looking\n";
  for (const auto& [task, blind, chance] : report.figures) {
    text += fmt::format("{:<15}{:>10.1f}{:>18.1f}\n", task, chance, blind);
  }
  text += fmt::format("\n{} concepts, {} of them with a photograph; {} pictures drawn, {} kept\n", report.concepts,
                      report.concepts_with_photo, report.pictures_drawn, report.pictures_kept);
  print(text);
  return 0;
}

/// "6000,600,996"
std::array<std::int64_t, 3> counts_of(const std::string& text) {
  std::array<std::int64_t, 3> counts{};
  const char *at = text.data(), *const end = at + text.size();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto [rest, error] = std::from_chars(at, end, counts[i]);
    const bool last = i + 1 == counts.size();
    if (error != std::errc() || (last ? rest != end : rest == end || *rest != ',')) {
      throw UsageError(
          fmt::format("--scenes-count {}: three numbers with commas between them are wanted, TRAIN,VAL,TEST", text));
    }
    at = last ? rest : rest + 1;
  }
  return counts;
}

}  // namespace

void add_data_demo(CLI::App& group, Action& chosen) {
  struct Given {
    SceneOptions options;
    std::string kwords = "none", counts;
    bool scenes = false;
  };
  const auto given = std::make_shared<Given>();
  SceneOptions& options = given->options;
  CLI::App* command = group.add_subcommand(
      "demo", "Build the demonstration's retrieval set, or its scenes with five tasks, from unpacked packages");
  command->add_option("--src", options.sources, "Folder that tools/fetch_demo.sh filled")->required();
  command->add_option("--out", options.out, "Folder to fill, one for each set")->required();
  CLI::Option* scenes =
      command->add_flag("--scenes", given->scenes, "The scenes: captions, VQA, NLVR2's form, entailment and grounding");
  // One word, taken apart later: as three numbers it would take in whatever follows it.
  command->add_option("--scenes-count", given->counts, "Records of each task in TRAIN,VAL,TEST: multiples of 12")
      ->default_str(fmt::format("{}", fmt::join(options.counts, ",")))
      ->needs(scenes);
  command->add_option("--seed", options.seed, "Another seed, another set of scenes")
      ->capture_default_str()
      ->check(between(0, 1e18))
      ->needs(scenes);
  command
      ->add_option("--kwords", given->kwords,
                   "none, or oracle: the human tags or the objects' names, for tests of the plumbing only")
      ->capture_default_str();
  command->add_option("--threads", options.threads, "0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  command->callback([given, &chosen] {
    chosen = [given] {
      SceneOptions& options = given->options;
      options.kwords = demo_kwords_from_name(given->kwords);
      if (!given->counts.empty()) options.counts = counts_of(given->counts);
      if (given->scenes) return build_scene_set(options);
      return build_retrieval_set({options.sources, options.out, options.kwords, options.threads});
    };
  });
}

}  // namespace vicha::cli
