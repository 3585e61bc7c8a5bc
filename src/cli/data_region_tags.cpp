#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/data.h"
#include "cli/options.h"
#include "concepts/match/box_tags.h"

namespace vicha::cli {

void add_data_region_tags(CLI::App& group, Action& chosen) {
  struct Given {
    fs::path manifest, boxes, out;
    BoxTagOptions options;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = group.add_subcommand(
      "region-tags", "Tags of pictures' regions, and their concepts, from boxes with names (a detector's)");
  command->add_option("MANIFEST", given->manifest, "Manifest: a JSON list or JSON lines")->required();
  command
      ->add_option("--boxes", given->boxes,
                   R"(JSON: {"PICTURE": [{"name": "cat", "bbox": [x, y, width, height]}, …]}, in pixels)")
      ->required();
  command->add_option("--out", given->out, "Manifest to write, with region_tags and kwords")->required();
  command->add_option("--grid", given->options.side, "Rows and columns of the regions")
      ->capture_default_str()
      ->check(between(1, 64));
  command->add_option("--share", given->options.share, "Least share of a region that the box of its tag covers")
      ->capture_default_str()
      ->check(between(0, 1));
  command->add_option("--num-tags", given->options.num_tags, "Tags of a picture that become its concepts")
      ->capture_default_str()
      ->check(between(1, 1000));
  command->add_option("--image-root", given->options.image_root, "Folder of the pictures (default: the manifest's)");
  command
      ->add_option("--strip-parts", given->options.strip_parts,
                   "Leading parts of each picture's path to replace by the root")
      ->capture_default_str()
      ->check(between(0, 1000));
  command->callback([given, &chosen] {
    chosen = [given] {
      warn_if_moved(given->manifest, given->out);
      const BoxTagReport report = assign_box_tags(given->manifest, given->boxes, given->out, given->options);
      print(fmt::format("{}: {} records of {} pictures, {} of {} regions tagged with {} words\n", given->out.string(),
                        report.records, report.images, report.tagged_regions, report.regions, report.words));
      if (report.tagged_regions == 0) {
        log::warning(
            "{}: no region has a tag: no box covers {} of one; boxes are [x, y, width, height] in pixels of the whole "
            "picture (and see --share, --grid)",
            given->out.string(), given->options.share);
      }
      return 0;
    };
  });
}

}  // namespace vicha::cli
