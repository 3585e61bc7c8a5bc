#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "base/json_text.h"
#include "base/named_outputs.h"
#include "cli/concepts.h"
#include "cli/data.h"
#include "cli/options.h"
#include "concepts/kit/vocabulary_embeddings.h"
#include "concepts/match/assign.h"
#include "concepts/source/provenance.h"
#include "tasks/concepts/concept_sources.h"

namespace vicha::cli {
namespace {

struct AssignRequest {
  std::filesystem::path manifest, vocabulary, embeddings, out;
  std::vector<std::filesystem::path> stores;
  std::string source;
  std::vector<std::string> prompts;
  ConceptSourceOptions source_options;
  AssignOptions options;
  TagOptions tags;
  std::optional<double> threshold;  ///< of words, or of tags
  bool regions = false;
  NeighbourBuild neighbours;

  AssignOptions assignment() const {
    AssignOptions all = options;
    all.threshold = threshold.value_or(all.threshold);
    if (!regions) return all;
    all.regions = tags;
    all.regions->threshold = threshold.value_or(tags.threshold);
    return all;
  }

  /// Empty where none are made or read.
  std::filesystem::path vocabulary_embeddings() const {
    if (store_of_source(source) || field_of_source(source)) return {};
    if (!embeddings.empty() || vocabulary.empty()) return embeddings;
    return vocabulary.string() + ".safetensors";
  }
};

/// By the captions of like pictures: the chain of `concepts build`, with a vocabulary that is there.
AssignReport assign_by_neighbours(const AssignRequest& given) {
  if (!given.stores.empty() || !given.embeddings.empty()) {
    throw UsageError("--source tower:STORE names the store itself and needs no --store or --vocab-embeddings");
  }
  ConceptBuild build;
  build.captions = given.manifest;
  build.out = given.out;
  build.source = given.source;
  build.source_options = given.source_options;
  build.vocabulary = given.vocabulary;
  build.assign = given.assignment();
  build.neighbours = given.neighbours;
  return build_concepts(build);
}

AssignReport assign(const AssignRequest& given) {
  if (const std::optional<std::string> field = field_of_source(given.source)) {
    return assign_from_field(given.manifest, *field, given.out, given.options.k);
  }
  if (store_of_source(given.source)) return assign_by_neighbours(given);
  if (given.stores.empty() || given.vocabulary.empty()) {
    throw UsageError("--store and --vocab are needed, unless --source is manifest:FIELD or tower:STORE");
  }
  const AssignOptions options = given.assignment();
  const ConceptVocabulary vocabulary = ConceptVocabulary::load(given.vocabulary);
  const auto source = open_concept_source(given.source, given.source_options);
  const std::filesystem::path file = given.vocabulary_embeddings();
  ConceptKit kit = embed_vocabulary(*source, vocabulary, given.prompts, file);
  kit.provenance.source = given.source;
  kit.provenance.vocabulary = given.vocabulary;
  kit.provenance.embeddings = file;
  return assign_concepts(given.manifest, given.stores, kit, given.out, options);
}

}  // namespace

void add_concepts_assign(CLI::App& group, Action& chosen) {
  const auto given = std::make_shared<AssignRequest>();
  CLI::App* command =
      group.add_subcommand("assign", "Write each picture's best concepts into its records, from stored embeddings");
  command->add_option("MANIFEST", given->manifest, "Manifest: a JSON list or JSON lines")->required();
  command->add_option("--source", given->source, source_help(/*towerless=*/true))->required();
  command->add_option("--out", given->out, "Manifest to write; OUT.identity.json says where its concepts come from")
      ->required();
  add_repeated(*command, "--store", given->stores, "Embedding stores that hold the pictures");
  command->add_option("--vocab", given->vocabulary, "Vocabulary (`vicha concepts vocab`)");
  command->add_option("--vocab-embeddings", given->embeddings,
                      "Where the vocabulary's embeddings are kept (default: VOCAB.safetensors)");
  add_prompts(*command, given->prompts);
  command->add_option("--captions", given->neighbours.captions,
                      "tower:STORE: manifest of the pictures that are asked (default: MANIFEST itself)");
  add_neighbour_options(*command, given->neighbours);
  command->add_option("--k", given->options.k, "Concepts of a picture")->capture_default_str()->check(between(1, 1e6));
  command
      ->add_option("--threshold", given->threshold,
                   "Least probability, softmax(scale * cosine) over the vocabulary (default: none; regions: 0.5)")
      ->check(between(0, 1));
  command->add_flag("--regions", given->regions, "Tag the regions of a store made with --regions");
  command->add_option("--num-tags", given->tags.num_tags, "Tags of a picture in region mode")
      ->capture_default_str()
      ->check(between(1, 1e6));
  add_choice(*command, "--search", given->options.approximate,
             {{"auto", Approximate::kAuto}, {"exact", Approximate::kNever}, {"index", Approximate::kAlways}},
             "exact, index (FAISS clusters), or auto: index beyond a million words");
  command
      ->add_option("--max-missing-share", given->options.max_missing_share,
                   "Share of records whose picture may be in no store; they are left out")
      ->capture_default_str()
      ->check(between(0, 1));
  add_source_options(*command, given->source_options, "CLIP: the store was embedded with --exact-decode");
  command->callback([given, &chosen] {
    chosen = [given] {
      require_utf8(given->out.filename().string(), "--out");  // its identity names what lies beside it
      std::vector<std::filesystem::path> inputs = {given->manifest, given->vocabulary, given->neighbours.captions};
      inputs.insert(inputs.end(), given->stores.begin(), given->stores.end());
      const std::filesystem::path embeddings = given->vocabulary_embeddings();
      const GuardedOutputs outputs({{"--out", given->out},
                                    {"the identity of --out", concept_provenance_file(given->out)},
                                    {"the vocabulary's embeddings (--vocab-embeddings)", embeddings}},
                                   inputs);
      const AssignReport report = assign(*given);
      warn_if_moved(given->manifest, given->out);
      print(
          fmt::format("{}: {} records of {} pictures, {} different concepts, {} pictures without any, {} records left "
                      "out; {:.1f} s\n",
                      given->out.string(), report.records, report.images, report.words_used, report.without_words,
                      report.left_out, report.seconds));
      return 0;
    };
  });
}

}  // namespace vicha::cli
