#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

#include "base/log.h"
#include "cli/data.h"
#include "cli/options.h"
#include "data/tools/tar_manifest.h"

namespace vicha::cli {
namespace {

/// As members' names are compared.
void to_lower(std::vector<std::string>& names) {
  for (std::string& name : names) {
    if (name.starts_with('.')) name.erase(0, 1);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  }
}

std::string summary_of(const UnpackReport& report, const UnpackOptions& options) {
  std::string text = fmt::format("{}: {} records of {} archives ({} unpacked before, {} damaged)\n",
                                 (options.out / options.manifest).string(), report.records, report.archives,
                                 report.known, report.damaged);
  if (report.apart > 0) {
    text += fmt::format("{} samples were put together from members that did not lie side by side\n", report.apart);
  }
  const std::string list = (options.out / kLostList).string();
  if (report.lost_samples() == 0 && report.damaged > 0) {
    return text + fmt::format("Of damaged archives nobody knows what they held; they are named in {}\n", list);
  }
  if (report.lost_samples() == 0) return text + "No sample was lost\n";
  text += fmt::format("Lost, named in {}: {} samples ({})\n", list, report.lost_samples(), report.lost_by_cause());
  for (const std::string& line : report.advice()) text += line + "\n";
  return text;
}

}  // namespace

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
  command->add_option("TAR", given->tars, "Archives: .tar, also compressed by gzip, zstd, bzip2 or xz")->required();
  command->add_option("--out", options.out, "Folder to fill: images/ARCHIVE/…, the manifest and lost.jsonl")
      ->required();
  command->add_option("--manifest", options.manifest, "The manifest's name in there")->capture_default_str();
  add_repeated(*command, "--caption-member", options.sample.caption_members,
               "Member that is the caption, by what follows the key: txt, outputs.txt; json: see --caption-field; "
               "several: the first that has one (default: txt, then field caption of json)")
      ->delimiter(',');
  add_repeated(*command, "--caption-field", options.sample.caption_fields,
               "Field of the JSON that is the caption, or a list of them: re_caption, meta.title, sentences.raw; "
               "several: the first that has one")
      ->delimiter(',');
  add_repeated(*command, "--image-member", options.sample.image_members,
               "Member that is the picture, whatever its extension: input.jpg, img")
      ->delimiter(',');
  add_choice(*command, "--key-end", options.key_end, {{"first-dot", KeyEnd::kFirstDot}, {"last-dot", KeyEnd::kLastDot}},
             "Dot of a file's name where its key ends: first-dot, as WebDataset, or last-dot");
  add_repeated(*command, "--fields", options.sample.fields, "Fields of a sample's JSON to keep")
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
      to_lower(options.sample.image_members);
      to_lower(options.sample.caption_members);
      options.progress = [total = given->tars.size()](std::int64_t done) {
        log::status(fmt::format("unpacking: archive {}/{}", done, total));
      };
      const UnpackReport report = unpack_tars(given->tars, options);
      log::status("");
      for (const std::string& note : report.notes) log::warning("{}", note);
      print(summary_of(report, options));
      return 0;
    };
  });
}

}  // namespace vicha::cli
