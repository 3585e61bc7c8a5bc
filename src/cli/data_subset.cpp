#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/data.h"
#include "cli/options.h"
#include "data/tools/subset.h"

namespace vicha::cli {

void add_data_subset(CLI::App& group, Action& chosen) {
  struct Given {
    std::filesystem::path manifest, out;
    std::int64_t count = 0;
    std::string share;
    SubsetOptions options;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = group.add_subcommand("subset", "Take the first records of a manifest, or some at random");
  command->add_option("MANIFEST", given->manifest, "Manifest: a JSON list or JSON lines")->required();
  command->add_option("--out", given->out, "Manifest to write")->required();
  CLI::Option* count = command->add_option("--count", given->count, "So many records")->check(between(0, 1e18));
  command->add_option("--share", given->share, "Or so many of all: 10%, 0.1 or 1/10")->excludes(count);
  CLI::Option* random =
      command->add_flag("--random", given->options.random, "Any records instead of the first; they keep their order");
  command->add_option("--seed", given->options.seed, "Another seed, another choice")
      ->capture_default_str()
      ->check(between(0, 1e18))
      ->needs(random);
  command->callback([given, count, &chosen] {
    chosen = [given, count] {
      if (count->count() > 0) given->options.count = given->count;
      if (!given->share.empty()) given->options.share = Share::parse(given->share, "--share");
      warn_if_moved(given->manifest, given->out);
      const SubsetReport report = take_subset(given->manifest, given->out, given->options);
      print(fmt::format("{}: {} of {} records\n", given->out.string(), report.kept, report.records));
      return 0;
    };
  });
}

}  // namespace vicha::cli
