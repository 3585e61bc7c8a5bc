#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/json_text.h"
#include "cli/concepts.h"
#include "cli/data.h"
#include "cli/options.h"
#include "tasks/concepts/concept_build.h"

namespace vicha::cli {

void add_concepts_build(CLI::App& group, Action& chosen) {
  const auto given = std::make_shared<ConceptBuild>();
  ConceptBuild& build = *given;
  CLI::App* command = group.add_subcommand(
      "build", "From captions and pictures to a manifest with concepts; repeated after a kill it goes on where it was");
  command->add_option("--captions", build.captions, "Manifest with pictures and captions")->required();
  command->add_option("--images", build.images, "Folder of the pictures (default: the manifest's)");
  command
      ->add_option("--strip-parts", build.strip_parts, "Leading parts of each picture's path to replace by the folder")
      ->check(between(0, 1000));
  command->add_option("--out", build.out, "Manifest to write; what is made on the way lies beside it in OUT's .parts")
      ->required();
  command->add_option("--source", build.source, source_help(/*towerless=*/true));
  command->add_option("--vocab", build.vocabulary, "A ready vocabulary (default: made from the captions)");
  command->add_option("--top", build.count.top, "Concepts of the vocabulary, the most frequent; 0: all")
      ->capture_default_str()
      ->check(between(0, kMostThings));
  command->add_option("--min-count", build.count.min_count, "Keep concepts that were seen at least so often")
      ->capture_default_str()
      ->check(between(1, kMostThings));
  add_prompts(*command, build.prompts);
  add_neighbour_options(*command, build.neighbours);
  command->add_option("--k", build.assign.k, "Concepts of a picture")->capture_default_str()->check(between(1, 1e6));
  command
      ->add_option("--threshold", build.assign.threshold,
                   "Least probability, softmax(scale * cosine) over the vocabulary (default: none)")
      ->check(between(0, 1));
  command->add_option("--batch", build.embed.batch_size, "Pictures embedded at once; 0: what suits the source")
      ->capture_default_str()
      ->check(between(0, 1e6));
  command->add_option("--threads", build.embed.threads, "Threads that read and embed pictures; 0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  command->add_option("--max-bad-share", build.embed.max_bad_share, "Share of pictures that may be unreadable")
      ->capture_default_str()
      ->check(between(0, 1));
  command->add_flag("--trust-names", build.embed.trust_names,
                    "Do not read pictures again that an earlier run has embedded under their name");
  add_source_options(*command, build.source_options);
  command->callback([given, &chosen] {
    chosen = [given] {
      if (given->source.empty()) {
        throw UsageError(
            "no source of concepts: give --source clip:FILE with CLIP weights that you have downloaded (OpenAI's "
            "ViT-B-16.pt, Hugging Face's or open_clip's model.safetensors; the README says where from), --source "
            "aligned:RUN or vicha:CHECKPOINT with a model that was trained without concepts, or --source tower:STORE "
            "with "
            "features of your pictures (`vicha embed`)");
      }
      require_utf8(given->out.filename().string(), "--out");  // its identity names what lies beside it
      given->assign.max_missing_share = given->embed.max_bad_share;
      given->assign.share_option = "--max-bad-share";
      given->embed.settings.folder = "--images and --strip-parts";
      const AssignReport report = build_concepts(*given);
      warn_if_moved(given->captions, given->out);
      print(fmt::format("{}: {} records of {} pictures, {} different concepts, {} records left out\n",
                        given->out.string(), report.records, report.images, report.words_used, report.left_out));
      return 0;
    };
  });
}

}  // namespace vicha::cli
