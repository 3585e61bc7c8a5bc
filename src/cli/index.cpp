#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "search/build_index.h"
#include "search/picture_list.h"

namespace vicha::cli {

void add_index(CLI::App& app, Action& chosen) {
  struct Given {
    std::filesystem::path source, out;
    std::string model, concept_source, image_root, calibrate_root;
    ConceptSourceOptions tower;
    IndexOptions options;
  };
  const auto given = std::make_shared<Given>();
  IndexOptions& options = given->options;
  CLI::App* command = app.add_subcommand(
      "index", "Index the pictures of a folder or a manifest for `vicha search`; repeated it does only what is new");
  command->add_option("SOURCE", given->source, "Folder with pictures, or a manifest")->required();
  command->add_option(
      "--model", given->model,
      "Folder of a run of `vicha align` or `vicha pretrain`, or clip:FILE (default: that of the index)");
  command->add_option("--out", given->out, "Folder of the index")->required();
  command->add_option(
      "--calibrate", options.calibrate.manifest,
      "Manifest with captions that the model was not trained on: how often hits are right is learned from it");
  command->add_option("--calibrate-root", given->calibrate_root,
                      "Folder of that manifest's pictures (default: its own)");
  command->add_option(
      "--concept-source", given->concept_source,
      "Of a model that reads concepts: where their source's weights are now, clip:FILE or vicha:CHECKPOINT");
  add_source_options(*command, given->tower);
  command->add_option("--image-root", given->image_root, "Folder of a manifest's pictures (default: the manifest's)");
  command
      ->add_option("--strip-parts", options.list.strip_parts,
                   "Leading parts of a manifest's names to replace by the root")
      ->capture_default_str()
      ->check(between(0, 1000));
  command->add_option("--batch", options.batch, "Pictures embedded at once by a thread; 0: what suits the model")
      ->capture_default_str()
      ->check(between(0, 1e6));
  command->add_option("--threads", options.threads, "Threads that read and embed pictures; 0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  add_choice(*command, "--approximate", options.approximate,
             {{"auto", Approximate::kAuto}, {"never", Approximate::kNever}, {"always", Approximate::kAlways}},
             "Whether a search looks at the nearest clusters only: auto (beyond a million pictures), never, always");
  command->add_option("--recall", options.recall, "Share of the ten nearest that a search by clusters should find")
      ->capture_default_str()
      ->check(between(0.1, 1));
  command->add_flag("--read-all", options.read_all, "Read files again whose size and time of change are the same");
  command->add_flag("--replace", options.replace,
                    "SOURCE takes the place of another one that the index is of; what it was calibrated by goes too");
  command->add_flag("--rebuild", options.rebuild, "Embed everything anew, with another model too");
  command->callback([given, &chosen] {
    chosen = [given] {
      require_picture_source(given->source);
      std::string model = given->model;
      if (model.empty()) {
        const std::optional<std::string> before = model_of_index(given->out);
        if (!before) throw UsageError("--model is missing: there is no index yet, or it does not say whose it is");
        model = *before;
        require_model_of_index(model, given->out);
      }
      IndexOptions options = given->options;
      options.list.image_root = given->image_root;
      options.calibrate.image_root = given->calibrate_root;
      SearchModel opened = open_search_model(model, given->tower, given->concept_source);
      const IndexReport report = build_index(given->source, given->out, opened, options);
      std::string text = given->out.string() + ": " + describe(report);
      for (const SkippedPicture& skipped : report.first_skipped) {
        text += fmt::format("  {}: {}\n", printable(skipped.name), printable(skipped.cause));
      }
      if (report.recall) {
        text += report.recall->looked_at == 0
                    ? std::string("clusters would not find enough: a search compares everything\n")
                    : fmt::format("a search looks at {} clusters: {:.1f} % of the ten nearest are found ({} queries)\n",
                                  report.recall->looked_at, 100 * report.recall->recall, report.recall->queries);
      }
      text += report.calibration + "\n";
      if (report.nothing_changed) text += "nothing has changed: the index stays as it is\n";
      print(text);
      return 0;
    };
  });
}

}  // namespace vicha::cli
