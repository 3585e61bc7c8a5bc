#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/data.h"
#include "cli/data_stores.h"
#include "cli/options.h"
#include "concepts/match/filter.h"
#include "report/distribution_plot.h"

namespace vicha::cli {
namespace {

struct Given {
  std::filesystem::path manifest, out, plot;
  std::string keep, keep_captions;
  double min_sim = 0;
  CLI::Option* has_min_sim = nullptr;
  FilterOutput output;
  DataStores stores;
};

ManifestPairs similarities(Given& given) {
  if (!given.stores.given()) return saved_similarities(given.manifest);
  const EmbeddingStore captions = given.stores.captions({given.manifest}, given.out);
  const EmbeddingStore images = given.stores.images(given.manifest, given.out);
  ManifestPairs pairs = stored_similarities(given.manifest, images, captions);
  if (pairs.unknown == 0) return pairs;
  const double share = static_cast<double>(pairs.unknown) / static_cast<double>(pairs.sims.size());
  const std::string what = fmt::format("{} of {} pairs have no similarity and are left out; the first is {}",
                                       pairs.unknown, pairs.sims.size(), pairs.first_unknown);
  if (share > given.stores.max_missing()) {
    throw DataError(given.manifest.string(), what,
                    "Compute what is missing (--source), or allow for it (--max-missing)");
  }
  log::warning("{}", what);
  return pairs;
}

int run(Given& given) {
  FilterRules rules;
  if (!given.keep.empty()) rules.keep = Share::parse(given.keep, "--keep");
  if (!given.keep_captions.empty()) rules.keep_captions = Share::parse(given.keep_captions, "--keep-captions");
  if (given.has_min_sim->count() > 0) rules.min_sim = given.min_sim;
  if (!given.plot.empty()) check_plot_name(given.plot);
  const GuardedOutputs outputs = given.stores.guarded(given.out, {given.manifest}, given.plot);
  require_regular_file(given.manifest);
  if (!given.stores.has_image_root()) warn_if_moved(given.manifest, given.out);
  const ManifestPairs pairs = similarities(given);
  const std::vector<bool> kept = select_pairs(pairs, rules);
  const Distribution distribution = distribution_of(pairs.sims, kept);
  log::info("similarities of {}:", given.manifest.string());
  log::write_lines(log::Level::kInfo, histogram_text(distribution));
  if (!given.plot.empty()) {
    write_plot(distribution, "Similarities of " + given.manifest.filename().string(), given.plot);
  }
  const FilterReport report = write_filtered(pairs, kept, given.out, given.output);
  print(fmt::format("{}: {} rows; kept {} of {} pairs, {} of {} pictures\n", given.out.string(), report.kept_rows,
                    report.kept_pairs, report.pairs, report.kept_images, report.images));
  return 0;
}

}  // namespace

void add_data_filter(CLI::App& group, Action& chosen) {
  const auto given = std::make_shared<Given>();
  CLI::App* command = group.add_subcommand(
      "filter", "Keep the captions that fit their pictures best, by the cosine of embeddings; `sim` in each row");
  command->add_option("MANIFEST", given->manifest, "Manifest: a JSON list or JSON lines")->required();
  command->add_option("--out", given->out, "Manifest to write, best first")->required();
  command->add_option("--keep", given->keep, "Share of all pairs of picture and caption: 70% or 0.7");
  command->add_option("--keep-captions", given->keep_captions, "Share of each picture's captions, at least one: 50%");
  given->has_min_sim = command->add_option("--min-sim", given->min_sim, "Least similarity")->check(between(-1, 1));
  command->add_flag("--keep-order", given->output.keep_order, "Leave the rows in the manifest's order");
  command->add_flag("--split-captions", given->output.split_captions, "Write a row for each caption");
  command->add_option("--plot", given->plot, "Also draw the distribution of all similarities: FILE.html or FILE.svg");
  given->stores.add_options(*command);
  command->footer("Without --source and --store the rows' own `sim` is used.");
  command->callback([given, &chosen] { chosen = [given] { return run(*given); }; });
}

}  // namespace vicha::cli
