#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/named_outputs.h"
#include "cli/concepts.h"
#include "cli/options.h"
#include "concepts/embed/embed.h"
#include "tasks/concepts/concept_sources.h"

namespace vicha::cli {

void add_concepts_embed(CLI::App& group, Action& chosen) {
  struct Given {
    std::vector<std::filesystem::path> manifests;
    std::filesystem::path out;
    std::string source, image_root;
    ConceptSourceOptions source_options;
    ManifestOptions manifest;
    EmbedOptions options;
  };
  const auto given = std::make_shared<Given>();
  EmbedOptions& options = given->options;
  CLI::App* command = group.add_subcommand(
      "embed", "Embed the pictures of manifests into a store; repeated after a kill it goes on where it was");
  command->add_option("MANIFEST", given->manifests, "Manifests: JSON lists or JSON lines")->required();
  command->add_option("--source", given->source, source_help())->required();
  command->add_option("--out", given->out, "Embedding store")->required();
  command->add_option("--regions", options.regions, "Also embed the cells of a grid of so many rows and columns")
      ->capture_default_str()
      ->check(between(0, 64));
  add_precision(*command, options.type, "Of the stored numbers: fp16 or fp32");
  command->add_option("--batch", options.batch_size, "Vectors computed at once; 0: what suits the source")
      ->capture_default_str()
      ->check(between(0, 1e6));
  add_source_options(*command, given->source_options);
  add_embedding_options(*command, options, given->manifest, given->image_root);
  command->callback([given, &chosen] {
    chosen = [given] {
      const EmbedOptions& options = given->options;
      const auto store = store_of_rank(given->out, options.rank, options.ranks);
      const GuardedOutputs outputs(
          {{"--out", store}, {"the list of bad pictures, beside --out", bad_pictures_of(store)}}, given->manifests);
      ManifestOptions manifest = given->manifest;
      manifest.image_root = given->image_root;
      const ImageList images = list_images(given->manifests, manifest);
      const auto source = open_concept_source(given->source, given->source_options);
      const EmbedReport report = embed_images(*source, images, store, options);
      print(fmt::format("{}: {} pictures, {} embedded, {} there already, {} unreadable; {:.1f} s\n", store.string(),
                        report.images, report.embedded, report.known, report.bad, report.seconds));
      return 0;
    };
  });
}

}  // namespace vicha::cli
