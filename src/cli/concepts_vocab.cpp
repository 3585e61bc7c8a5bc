#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "base/error.h"
#include "cli/concepts.h"
#include "cli/options.h"
#include "concepts/vocabulary/count_concepts.h"

namespace vicha::cli {
namespace {

std::string summary(const ConceptVocabulary& vocabulary, const CountReport& report) {
  constexpr std::size_t kShown = 10;
  std::string text = fmt::format("{} concepts of {}", vocabulary.size(), report.distinct);
  if (report.captions > 0) {
    text += fmt::format(", from {} captions ({} name no object)", report.captions, report.without_objects);
  }
  text += fmt::format("; left out for a stop word: {} times\n", report.stopped);
  const auto& words = vocabulary.words();
  for (std::size_t i = 0; i < std::min(kShown, words.size()); ++i) {
    text += fmt::format("{:>10}  {:<9}  {}\n", words[i].count, to_string(words[i].kind), words[i].text);
  }
  return text;
}

}  // namespace

void add_concepts_vocab(CLI::App& group, Action& chosen) {
  struct Given {
    std::vector<std::filesystem::path> inputs;
    std::filesystem::path out, stop, merge;
    std::vector<std::string> kinds = {"objects"};
    CountOptions options;
    bool no_default_stop = false;
  };
  const auto given = std::make_shared<Given>();
  CountOptions& options = given->options;
  CLI::App* command =
      group.add_subcommand("vocab", "Count what captions name: a vocabulary of concepts, as text that can be edited");
  command
      ->add_option("INPUT", given->inputs,
                   "Manifests with captions, JSON lines of vicha concepts parse, or vocabularies to add up")
      ->required();
  command->add_option("--out", given->out, "Vocabulary to write (concept, tab, count, tab, kind a line)")->required();
  CLI::Option* top = command->add_option("--top", options.top, "Keep the so many most frequent; 0: all")
                         ->capture_default_str()
                         ->check(between(0, kMostThings));
  CLI::Option* min_count =
      command
          ->add_option("--min-count", options.min_count,
                       "Keep what was seen at least so often; without --top, all of it (the public tool's threshold T "
                       "is T + 2 here)")
          ->capture_default_str()
          ->check(between(1, kMostThings));
  command->add_option("--kinds", given->kinds, "objects, attributes (\"brown dog\"), relations (\"dog on sofa\")")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::IsMember({"objects", "attributes", "relations"}));
  command->add_option("--stop", given->stop, "File of words that are left out, one a line");
  command->add_flag("--no-default-stop", given->no_default_stop,
                    "Keep \"picture\", \"side\", \"other\" and other words that name nothing to be seen");
  command->add_option("--merge", given->merge, "File of words counted as others: bike, tab, bicycle");
  command->add_option("--min-length", options.min_length, "Characters of the shortest concept")
      ->capture_default_str()
      ->check(between(0, 1000));
  command
      ->add_option("--max-entries", options.max_entries,
                   "Different concepts held in memory (about 120 bytes each); beyond, the rarest are dropped")
      ->capture_default_str()
      ->check(between(1, kMostThings));
  command->add_option("--threads", options.threads, "Threads that parse captions; 0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  command->callback([given, top, min_count, &chosen] {
    chosen = [given, all = min_count->count() > 0 && top->count() == 0] {
      CountOptions options = given->options;
      if (all) options.top = 0;
      const auto wants = [&](const char* kind) { return std::ranges::find(given->kinds, kind) != given->kinds.end(); };
      options.objects = wants("objects");
      options.attributes = wants("attributes");
      options.relations = wants("relations");
      options.default_stop = !given->no_default_stop;
      if (!given->stop.empty()) options.stop = load_stop_list(given->stop);
      if (!given->merge.empty()) options.merged = load_merged_forms(given->merge);
      CountReport report;
      const ConceptVocabulary vocabulary = count_concepts(given->inputs, options, &report);
      vocabulary.save(given->out);
      print(summary(vocabulary, report));
      return 0;
    };
  });
}

}  // namespace vicha::cli
