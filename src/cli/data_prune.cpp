#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "base/named_outputs.h"
#include "cli/data.h"
#include "cli/options.h"
#include "data/tools/dead_images.h"
#include "data/tools/journal.h"

namespace vicha::cli {

void add_data_prune(CLI::App& group, Action& chosen) {
  struct Given {
    std::filesystem::path manifest, out, list;
    std::string image_root;
    bool presence = false, truncated = false;
    PruneOptions options;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = group.add_subcommand("prune",
                                           "Leave out the records whose picture is missing or unreadable; repeated "
                                           "after a kill it goes on where it was");
  command->add_option("MANIFEST", given->manifest, "Manifest: a JSON list or JSON lines")->required();
  command->add_option("--out", given->out, "Manifest to write")->required();
  command->add_option("--list", given->list, "JSON lines that name the dead pictures (default: OUT.dead.jsonl)");
  command->add_option("--image-root", given->image_root, "Folder of the pictures (default: the manifest's)");
  command
      ->add_option("--strip-parts", given->options.strip_parts,
                   "Leading parts of each picture's path to replace by the root")
      ->capture_default_str()
      ->check(between(0, 1000));
  command->add_flag("--presence", given->presence, "Only look whether the files are there: fast");
  command->add_flag("--drop-truncated", given->truncated,
                    "Pictures that end early or have a wrong checksum are dead too");
  command->add_option("--threads", given->options.threads, "0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  command->callback([given, &chosen] {
    chosen = [given] {
      PruneOptions options = given->options;
      options.image_root = given->image_root;
      options.decode = !given->presence;
      options.keep_truncated = !given->truncated;
      options.progress = [](std::int64_t records) {
        log::status(fmt::format("looking at pictures: record {}", records));
      };
      const std::filesystem::path list =
          given->list.empty() ? std::filesystem::path(given->out.string() + ".dead.jsonl") : given->list;
      require_distinct({{"--out", given->out},
                        {given->list.empty() ? "the list of dead pictures" : "--list", list},
                        {"what is noted on the way", journal_of(given->out)}});
      if (given->image_root.empty()) warn_if_moved(given->manifest, given->out);
      const PruneReport report = prune_manifest(given->manifest, given->out, list, options);
      log::status("");
      print(
          fmt::format("{}: {} of {} records; {} of {} pictures are dead{}, {} truncated, {} with a wrong checksum{}\n",
                      given->out.string(), report.kept, report.records, report.dead, report.images,
                      report.dead > 0 ? " (" + list.string() + ")" : "", report.truncated, report.wrong_checksums,
                      report.known > 0 ? fmt::format("; {} looked at before", report.known) : ""));
      return 0;
    };
  });
}

}  // namespace vicha::cli
