#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/files.h"
#include "cli/data.h"
#include "cli/data_stores.h"
#include "cli/options.h"
#include "concepts/match/nearest_captions.h"

namespace vicha::cli {

void add_data_nearest_captions(CLI::App& group, Action& chosen) {
  struct Given {
    std::filesystem::path manifest, others, out;
    NearestCaptionsOptions options;
    DataStores stores;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = group.add_subcommand(
      "nearest-captions", "Add the captions of another set that are nearest to each record: `additional_captions`");
  command->add_option("MANIFEST", given->manifest, "Manifest: a JSON list or JSON lines")->required();
  command->add_option("--from", given->others, "Manifest whose captions are added")->required();
  command->add_option("--out", given->out, "Manifest to write")->required();
  command->add_option("--k", given->options.k, "Captions to add")->capture_default_str()->check(between(1, 1e6));
  add_choice(*command, "--by", given->options.by_caption, {{"picture", false}, {"caption", true}},
             "What they are near to: picture or caption");
  command->add_option("--field", given->options.field, "Field to write")->capture_default_str();
  command->add_flag("--scores", given->options.scores, "Also write their cosines, to FIELD_sim");
  given->stores.add_options(*command);
  command->callback([given, &chosen] {
    chosen = [given] {
      const GuardedOutputs outputs = given->stores.guarded(given->out, {given->manifest, given->others});
      for (const auto& input : {given->manifest, given->others}) require_regular_file(input);
      if (!given->stores.has_image_root()) warn_if_moved(given->manifest, given->out);
      std::vector<std::filesystem::path> manifests = {given->others};
      if (given->options.by_caption) manifests.push_back(given->manifest);
      const EmbeddingStore captions = given->stores.captions(manifests, given->out);
      std::optional<EmbeddingStore> images;
      if (!given->options.by_caption) images = given->stores.images(given->manifest, given->out);
      const NearestCaptionsReport report = add_nearest_captions(given->manifest, given->out, given->others,
                                                                images ? *images : captions, captions, given->options);
      print(fmt::format("{}: {} records, each with up to {} of {} captions; {} without an embedding\n",
                        given->out.string(), report.records, given->options.k, report.captions, report.unknown));
      return 0;
    };
  });
}

}  // namespace vicha::cli
