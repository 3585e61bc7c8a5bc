#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "cli/concepts.h"
#include "cli/options.h"
#include "concepts/kit/vocabulary_embeddings.h"
#include "image/decode.h"
#include "report/concept_sheet.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/host/model_files.h"

namespace vicha::cli {
namespace {

struct ShowRequest {
  std::filesystem::path image, checkpoint, vocabulary, out;
  std::string source;
  std::vector<std::string> prompts;
  std::int64_t k = 0;
  double threshold = -1;
  bool json = false;
  ConceptSourceOptions source_options;
};

void set_choice(const ShowRequest& given, ConceptProvenance& provenance) {
  if (given.k > 0) provenance.k = given.k;
  if (given.threshold >= 0) provenance.threshold = given.threshold;
}

/// Of a checkpoint, or made up from a source and a vocabulary.
ConceptFinder finder(const ShowRequest& given) {
  if (!given.checkpoint.empty()) {
    const std::filesystem::path folder = checkpoint_folder(given.checkpoint);
    std::optional<ConceptKit> kit = checkpoint_concept_kit(folder);
    if (!kit) {
      throw DataError(folder.string(), "was trained without concepts, or with such as nobody identified",
                      "Give --source and --vocab in its place");
    }
    set_choice(given, kit->provenance);
    return {std::move(kit), folder.string(), {.source = given.source, .tower = given.source_options}};
  }
  if (given.source.empty() || given.vocabulary.empty()) {
    throw UsageError("say whose concepts: --checkpoint, or --source with --vocab");
  }
  std::unique_ptr<ConceptSource> source = open_concept_source(given.source, given.source_options);
  ConceptKit kit = embed_vocabulary(*source, ConceptVocabulary::load(given.vocabulary), given.prompts,
                                    given.vocabulary.string() + ".safetensors");
  set_choice(given, kit.provenance);
  return {std::move(kit), std::move(source)};
}

}  // namespace

void add_concepts_show(CLI::App& group, Action& chosen) {
  const auto given = std::make_shared<ShowRequest>();
  CLI::App* command = group.add_subcommand("show", "Draw a picture with its best concepts and their cosines");
  command->add_option("IMAGE", given->image, "Picture file")->required();
  command->add_option("--checkpoint", given->checkpoint, "Model whose concepts are looked for");
  command->add_option(
      "--source", given->source,
      fmt::format("{} (default: where the checkpoint's source was in training)", concept_source_forms()));
  command->add_option("--vocab", given->vocabulary, "Vocabulary, where no checkpoint is given");
  add_prompts(*command, given->prompts);
  command->add_option("--k", given->k, "Concepts to show (default: the checkpoint's, or 15)")->check(between(1, 100));
  command->add_option("--threshold", given->threshold, "Least probability over the vocabulary")->check(between(0, 1));
  command->add_option("--out", given->out, "PNG to write (default: IMAGE.concepts.png)");
  command->add_flag("--json", given->json, "Print the concepts as JSON and draw only if --out is given");
  add_source_options(*command, given->source_options);
  command->callback([given, &chosen] {
    chosen = [given] {
      const std::filesystem::path out = !given->out.empty() || given->json
                                            ? given->out
                                            : std::filesystem::path(given->image.string() + ".concepts.png");
      std::optional<GuardedOutput> guard;  // before the answer, so that it is not half of one
      if (!out.empty()) guard.emplace(out);
      const ImageConcepts concepts = finder(*given).find(given->image);
      if (given->json) {
        print_json(
            json_text(nlohmann::ordered_json{
                {"image", given->image.string()}, {"kwords", concepts.words}, {"kword_scores", concepts.cosines}}) +
            "\n");
      } else {
        std::string text;
        for (std::size_t i = 0; i < concepts.words.size(); ++i) {
          text += fmt::format("{:.3f}  {}\n", concepts.cosines[i], printable(concepts.words[i]));
        }
        if (concepts.words.empty()) text = "no concept is probable enough\n";
        print(text);
      }
      if (out.empty()) return 0;
      write_file_atomic(out, encode_png(concept_sheet(load_rgb(given->image), concepts)));
      if (!given->json) print(out.string() + "\n");
      return 0;
    };
  });
}

}  // namespace vicha::cli
