#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/data.h"
#include "data/tools/subset.h"

namespace vicha::cli {

void add_data_join(CLI::App& group, Action& chosen) {
  struct Given {
    std::vector<std::filesystem::path> manifests;
    std::filesystem::path out;
    JoinOptions options;
  };
  const auto given = std::make_shared<Given>();
  CLI::App* command = group.add_subcommand(
      "join", "Write several manifests as one; relative names of pictures are corrected for its folder");
  command->add_option("MANIFEST", given->manifests, "Manifests: JSON lists or JSON lines")->required();
  command->add_option("--out", given->out, "Manifest to write; .jsonl: JSON lines")->required();
  command->add_flag("--keep-ids", given->options.keep_ids,
                    "Leave `image_id` as it is (otherwise the manifest's name is put in front of it)");
  command->callback([given, &chosen] {
    chosen = [given] {
      const std::int64_t records = join_manifests(given->manifests, given->out, given->options);
      print(fmt::format("{}: {} records of {} manifests\n", given->out.string(), records, given->manifests.size()));
      return 0;
    };
  });
}

}  // namespace vicha::cli
