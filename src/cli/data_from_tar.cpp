#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "cli/data.h"
#include "cli/options.h"
#include "data/tools/tar_manifest.h"

namespace vicha::cli {

void add_data_from_tar(CLI::App& group, Action& chosen) {
  struct Given {
    std::vector<std::filesystem::path> tars;
    std::int64_t image_megabytes = 256;
    UnpackOptions options;
  };
  const auto given = std::make_shared<Given>();
  UnpackOptions& options = given->options;
  CLI::App* command = group.add_subcommand(
      "from-tar", "Unpack tar archives of pictures and captions (img2dataset, WebDataset) to pictures and a manifest");
  command->add_option("TAR", given->tars, "Archives: .tar, .tar.gz, .tar.zst")->required();
  command->add_option("--out", options.out, "Folder to fill: images/ARCHIVE/… and the manifest")->required();
  command->add_option("--manifest", options.manifest, "The manifest's name in there")->capture_default_str();
  command->add_option("--fields", options.fields, "Fields of a sample's JSON to keep")
      ->capture_default_str()
      ->delimiter(',');
  command->add_flag("--skip-damaged", options.skip_damaged, "Leave out archives that are damaged or cut short");
  command->add_option("--max-picture-mb", given->image_megabytes, "Larger pictures are refused, in MiB")
      ->capture_default_str()
      ->check(between(1, 4096));
  command->add_option("--threads", options.threads, "Archives unpacked at once; 0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  command->callback([given, &chosen] {
    chosen = [given] {
      UnpackOptions options = given->options;
      options.limits.image_bytes = given->image_megabytes << 20;
      options.progress = [total = given->tars.size()](std::int64_t done) {
        log::status(fmt::format("unpacking: archive {}/{}", done, total));
      };
      const UnpackReport report = unpack_tars(given->tars, options);
      log::status("");
      for (const std::string& example : report.examples) log::warning("left out: {}", example);
      print(
          fmt::format("{}: {} records of {} archives ({} unpacked before, {} damaged); left out: {} samples without "
                      "a picture, {} without a caption, {} texts that cannot be read, {} members refused\n",
                      (options.out / options.manifest).string(), report.records, report.archives, report.known,
                      report.damaged, report.no_image, report.no_caption, report.bad_text, report.refused));
      return 0;
    };
  });
}

}  // namespace vicha::cli
