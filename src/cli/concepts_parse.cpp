#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/log.h"
#include "cli/concepts.h"
#include "cli/options.h"
#include "concepts/parse/parse_captions.h"

namespace vicha::cli {
namespace {

// One line of four columns with tabs between: caption, objects, attributes, relations.
std::string readable(const std::string& caption, const SceneGraph& graph) {
  std::string line = caption;
  for (char& c : line) {
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  }
  std::vector<std::string> attributes, relations;
  for (const auto& [object, attribute] : graph.attributes) attributes.push_back(object + ": " + attribute);
  for (const auto& row : graph.relations) relations.push_back(fmt::format("{}", fmt::join(row, " ")));
  return fmt::format("{}\t{}\t{}\t{}\n", line, fmt::join(graph.objects, ", "), fmt::join(attributes, "; "),
                     fmt::join(relations, "; "));
}

}  // namespace

void add_concepts_parse(CLI::App& group, Action& chosen) {
  struct Given {
    std::vector<std::filesystem::path> files;
    ParseOptions options;
    std::string out;
    bool json = false;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command =
      group.add_subcommand("parse", "Objects, attributes and relations of captions, one line for each caption");
  command
      ->add_option("FILE", given->files,
                   "Text with a caption a line ('-': standard input), or manifests (.json, .jsonl) with captions")
      ->required();
  command->add_flag("--json", given->json, "Print JSON lines instead of columns");
  command->add_option("--out", given->out,
                      "Write JSON lines to a file instead; repeated after a kill it goes on where it was");
  command->add_option("--threads", given->options.threads, "0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  add_links(*command, given->options.graph.links);
  command->add_option("--cache", given->options.cached, "Parsed captions kept for repetitions")
      ->capture_default_str()
      ->check(between(0, kMostThings));
  command->callback([given, &chosen] {
    chosen = [given] {
      if (!given->out.empty()) {
        const ParseRun run = parse_captions(given->files, given->out, given->options);
        const auto parsed = run.captions - run.found;
        log::info("{}: {} captions, {} of them parsed now ({:.0f} captions/s)", given->out, run.captions, parsed,
                  run.seconds > 0 ? static_cast<double>(parsed) / run.seconds : 0.0);
        return 0;
      }
      CaptionParsers parsers(given->options, [&](const std::string& caption, const SceneGraph& graph) {
        given->json ? print_json(scene_graph_json(caption, graph) + "\n") : print(readable(caption, graph));
      });
      for_each_caption(given->files, [&](std::string caption) { parsers.push(std::move(caption)); });
      parsers.finish();
      return 0;
    };
  });
}

}  // namespace vicha::cli
