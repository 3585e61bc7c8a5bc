#include "cli/options.h"

#include <fmt/format.h>

#include "tasks/concepts/concept_sources.h"

namespace vicha::cli {
namespace {

void add_bpe(CLI::App& command, std::filesystem::path& bpe) {
  command.add_option("--bpe", bpe, "CLIP's byte-pair vocabulary (default: beside the weights)");
}

}  // namespace

CLI::Validator between(double least, double most) {
  const auto check = [=](std::string& given) {
    double value = 0;
    if (CLI::detail::lexical_cast(given, value) && value >= least && value <= most) return std::string();
    return fmt::format("{} cannot be; give a number from {:.17g} to {:.17g}", given, least, most);
  };
  return {check, fmt::format("{:.17g} to {:.17g}", least, most)};
}

void add_device(CLI::App& command, std::string& device) {
  command.add_option("--device", device, "auto, cpu or cuda:N")->capture_default_str();
}

void add_embedding_options(CLI::App& command, EmbedOptions& options, ManifestOptions& manifest,
                           std::string& image_root) {
  command.add_option("--threads", options.threads, "Threads that read and embed; 0: one for each core")
      ->capture_default_str()
      ->check(between(0, kMostThreads));
  command.add_option("--image-root", image_root, "Folder of the pictures (default: the manifest's)");
  command
      .add_option("--strip-parts", manifest.strip_parts, "Leading parts of each picture's path to replace by the root")
      ->capture_default_str()
      ->check(between(0, 1000));
  command.add_option("--rank", options.rank, "Number of this process, from 0, where several share the work")
      ->capture_default_str()
      ->check(between(0, 1e6));
  command
      .add_option("--ranks", options.ranks,
                  "Processes; each writes a store of its own, named after its rank (`concepts store merge` joins them)")
      ->capture_default_str()
      ->check(between(1, 1e6));
  command.add_option("--max-bad-share", options.max_bad_share, "Share of pictures that may be unreadable")
      ->capture_default_str()
      ->check(between(0, 1));
  command.add_flag("--trust-names", options.trust_names,
                   "Do not read pictures again that the store has under their name");
}

void add_tower(CLI::App& command, std::string& tower) {
  command.add_option("--tower", tower,
                     "Of a model that reads features of a tower: where that is now, vit:FILE, torchscript:FILE, … "
                     "(default: where it was in training)");
}

void add_prompts(CLI::App& command, std::vector<std::string>& prompts) {
  add_repeated(command, "--prompt", prompts, "Template of the texts, with {} for the word; repeated: the mean of all");
}

void add_precision(CLI::App& command, StoreType& type, const std::string& help) {
  add_choice(command, "--precision", type, {{"fp16", StoreType::kFloat16}, {"fp32", StoreType::kFloat32}}, help);
}

void add_links(CLI::App& command, LinkUse& links) {
  add_choice(command, "--links", links,
             {{"always", LinkUse::kAlways}, {"doubtful", LinkUse::kWhereDoubtful}, {"never", LinkUse::kNever}},
             "What the link grammar reads: always; doubtful: where the quick rules had to guess; never");
}

void add_tower_options(CLI::App& command, ConceptSourceOptions& options) {
  command.add_option(
      "--image-tower", options.image_tower,
      "SPEC of the tower of pictures that an aligned model or a store stands on (default: where it was)");
  command.add_option("--text-tower", options.text_tower, "The same of the tower of texts");
}

void add_neighbour_options(CLI::App& command, NeighbourBuild& neighbours) {
  command.add_option("--neighbours", neighbours.count, "tower:STORE: pictures whose captions give the words")
      ->capture_default_str()
      ->check(between(1, 1e6));
  command
      .add_option("--neighbour-temperature", neighbours.temperature,
                  "tower:STORE: each neighbour counts by exp(cosine / this)")
      ->capture_default_str()
      ->check(between(1e-4, 1e4));
  command.add_option("--leave-out-group", neighbours.group,
                     "tower:STORE: field of the records; pictures that have a picture's own value are not asked "
                     "(its artist, its album)");
}

std::string source_help(bool towerless) { return concept_source_forms(towerless, /*about=*/true); }

void add_source_options(CLI::App& command, ConceptSourceOptions& options, const std::string& exact_help) {
  add_device(command, options.device);
  add_bpe(command, options.bpe);
  command.add_flag("--exact-decode", options.exact_decode, exact_help);
  add_tower_options(command, options);
}

void add_finder_options(CLI::App& command, ConceptFinderOptions& options) {
  add_choice(command, "--concepts", options.from,
             {{"auto", ConceptsFrom::kAuto},
              {"find", ConceptsFrom::kFind},
              {"manifest", ConceptsFrom::kManifest},
              {"none", ConceptsFrom::kNone}},
             "Of a model that reads concepts: auto (the manifest's if they come from the model's source, else found "
             "in the pictures), find, manifest, or none");
  command.add_option("--concept-source", options.source,
                     fmt::format("Where the source's weights are now: {} (default: where they were in training)",
                                 concept_source_forms(/*towerless=*/true)));
  command.add_option("--concept-cache", options.cache,
                     "Store of the pictures' embeddings (default: MANIFEST.<source>.emb beside the manifest)");
  add_bpe(command, options.tower.bpe);
  add_tower_options(command, options.tower);
}

}  // namespace vicha::cli
