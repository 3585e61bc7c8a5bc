#include <fmt/format.h>

#include <CLI/CLI.hpp>

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
  command->add_option("--threads", options.threads, "Threads that read and embed pictures; 0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  add_source_options(*command, given->source_options);
  command->add_option("--image-root", given->image_root, "Folder of the pictures (default: the manifest's)");
  command
      ->add_option("--strip-parts", given->manifest.strip_parts,
                   "Leading parts of each picture's path to replace by the root")
      ->capture_default_str()
      ->check(between(0, 1000));
  command->add_option("--rank", options.rank, "Number of this process, from 0, where several share the pictures")
      ->capture_default_str()
      ->check(between(0, 1e6));
  command->add_option("--ranks", options.ranks, "Processes; each writes a store of its own, named after its rank")
      ->capture_default_str()
      ->check(between(1, 1e6));
  command->add_option("--max-bad-share", options.max_bad_share, "Share of pictures that may be unreadable")
      ->capture_default_str()
      ->check(between(0, 1));
  command->add_flag("--trust-names", options.trust_names,
                    "Do not read pictures again that the store has under their name");
  command->callback([given, &chosen] {
    chosen = [given] {
      const EmbedOptions& options = given->options;
      ManifestOptions manifest = given->manifest;
      manifest.image_root = given->image_root;
      const ImageList images = list_images(given->manifests, manifest);
      const auto source = open_concept_source(given->source, given->source_options);
      const auto store = store_of_rank(given->out, options.rank, options.ranks);
      const EmbedReport report = embed_images(*source, images, store, options);
      print(fmt::format("{}: {} pictures, {} embedded, {} there already, {} unreadable; {:.1f} s\n", store.string(),
                        report.images, report.embedded, report.known, report.bad, report.seconds));
      return 0;
    };
  });
}

}  // namespace vicha::cli
