#include "tasks/concepts/concept_build.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file_guard.h"
#include "base/files.h"
#include "base/log.h"
#include "base/named_outputs.h"
#include "concepts/kit/vocabulary_embeddings.h"
#include "concepts/match/assign_neighbours.h"
#include "features/feature_embed.h"
#include "tasks/host/tower_spec.h"

namespace vicha {
namespace {

/// "a/pretrain.concepts.json" -> "a/pretrain.concepts.parts".
fs::path folder_of_parts(const fs::path& out) {
  fs::path parts = out;
  return parts.replace_extension(".parts");
}

int steps_of(const ConceptBuild& build) { return store_of_source(build.source) ? 4 : 5; }

/// Parsed again if they are of other captions: what is kept is only as good as what it was made of.
void parse(const ConceptBuild& build, const fs::path& captions, const fs::path& file) {
  const auto run = [&] { return parse_captions({captions}, file, build.parse); };
  ParseRun result;
  try {
    result = run();
  } catch (const DataError& error) {
    if (!fs::exists(file)) throw;
    log::warning("{}. It is begun anew", error.what());
    fs::remove(file);
    result = run();
  }
  log::info("1/{} {} captions parsed, {} of them before", steps_of(build), result.captions, result.found);
}

ConceptVocabulary vocabulary_of(const ConceptBuild& build, const fs::path& parsed, const fs::path& file) {
  if (!build.vocabulary.empty()) {
    ConceptVocabulary vocabulary = ConceptVocabulary::load(build.vocabulary);
    log::info("2/{} {} concepts in {}", steps_of(build), vocabulary.size(), build.vocabulary.string());
    return vocabulary;
  }
  ConceptVocabulary vocabulary = count_concepts(std::array{parsed}, build.count);
  vocabulary.save(file);
  log::info("2/{} {} concepts counted: {}", steps_of(build), vocabulary.size(), file.string());
  return vocabulary;
}

/// Embeds into the store what it lacks of the manifests' pictures, where a tower is known that can.
void embed_missing(const ConceptBuild& build, const std::vector<fs::path>& manifests, const fs::path& store) {
  const std::string& spec = build.source_options.image_tower;
  const ImageList images = list_images(manifests, {.image_root = build.images, .strip_parts = build.strip_parts});
  if (!spec.empty()) go_on_with(store);
  if (fs::exists(store)) {
    const FeatureStore found = FeatureStore::open(store, FeatureKind::kPooled);
    const bool all =
        std::ranges::all_of(images.keys, [&](const std::string& key) { return found.store().find(key).has_value(); });
    if (all || spec.empty()) return;  // the table and the assignment say what is missing
  } else if (spec.empty()) {
    throw DataError(
        store.string(), "is not there",
        fmt::format("Make it: vicha embed {} --tower SPEC --out {}; or name the tower here (--image-tower SPEC)",
                    manifests.front().string(), store.string()));
  }
  const auto encoder = PictureEncoder::open(spec, build.source_options.device);
  FeatureEmbedOptions options;
  options.embed = build.embed;
  const EmbedReport report = embed_features(*encoder, images, store, options);
  log::info("{} pictures embedded, {} of them before, {} unreadable: {}", report.embedded + report.known, report.known,
            report.bad, store.string());
}

AssignReport build_by_neighbours(const ConceptBuild& build, const fs::path& store, const fs::path& parts) {
  const NeighbourBuild& choice = build.neighbours;
  const fs::path captions = choice.captions.empty() ? build.captions : choice.captions;
  const fs::path parsed = parts / "captions.jsonl", table_file = parts / "neighbours.safetensors",
                 vocabulary_file = build.vocabulary.empty() ? parts / "vocabulary.tsv" : build.vocabulary;
  if (build.assign.regions) throw UsageError("--regions: a tower's store tells whole pictures only");
  std::vector<fs::path> manifests = {captions};
  if (captions != build.captions) manifests.push_back(build.captions);
  for (const fs::path& manifest : manifests) embed_missing(build, {manifest}, store);
  const FeatureStore features = FeatureStore::open(store, FeatureKind::kPooled);

  parse(build, captions, parsed);
  const ConceptVocabulary vocabulary = vocabulary_of(build, parsed, parts / "vocabulary.tsv");
  auto table = std::make_shared<NeighbourTable>(
      make_neighbour_table(captions, parsed, vocabulary, features.store(), choice.group, build.count));
  write_file_atomic(table_file, table->bytes());
  log::info("3/4 captions of {} pictures noted: {}", table->size(), table_file.string());

  ConceptKit kit;
  kit.provenance.weights = features.source();
  kit.provenance.vocabulary_sha256 = vocabulary.sha256();
  kit.provenance.source = build.source;
  kit.provenance.k = build.assign.k;
  kit.provenance.threshold = build.assign.threshold;
  kit.provenance.vocabulary = vocabulary_file;
  kit.provenance.embeddings = table_file;
  kit.provenance.neighbours = NeighbourChoice{.count = choice.count,
                                              .temperature = choice.temperature,
                                              .group = choice.group,
                                              .table_sha256 = table->sha256(),
                                              .store = store,
                                              .image_tower = absolute_tower_spec(build.source_options.image_tower)};
  kit.vocabulary = vocabulary;
  kit.neighbours = std::move(table);
  const NeighbourFinder finder(kit, store);
  const AssignReport report = assign_by_neighbours(build.captions, store, finder, build.out, build.assign);
  log::info("4/4 concepts of {} records assigned: {}", report.records, build.out.string());
  return report;
}

/// All that the chain writes, refused before its first step where it is among what the chain reads.
GuardedOutputs guarded_outputs(const ConceptBuild& build, const fs::path& parts) {
  const std::vector<fs::path> inputs = {build.captions, build.vocabulary, build.neighbours.captions};
  const std::vector<NamedOutput> outputs = {{"--out", build.out}, {"its identity", concept_provenance_file(build.out)}};
  std::vector<fs::path> own = {parts / "captions.jsonl", parser_identity_path(parts / "captions.jsonl")};
  if (build.vocabulary.empty()) own.push_back(parts / "vocabulary.tsv");
  if (store_of_source(build.source)) {
    own.push_back(parts / "neighbours.safetensors");
  } else {
    for (const char* name : {"vocabulary.safetensors", "pictures.emb"}) own.push_back(parts / name);
    own.push_back(bad_pictures_of(parts / "pictures.emb"));
  }
  GuardedOutputs guarded(outputs, inputs);
  for (const fs::path& part : own) go_on_with(part);  // of an earlier run
  return guarded;
}

}  // namespace

AssignReport build_concepts(const ConceptBuild& build) {
  if (fs::exists(build.out) && fs::equivalent(build.out, build.captions)) {
    throw UsageError("--out is the manifest itself; name another file");
  }
  const fs::path parts = folder_of_parts(build.out);
  const GuardedOutputs outputs = guarded_outputs(build, parts);
  fs::create_directories(parts);
  const fs::path parsed = parts / "captions.jsonl", store = parts / "pictures.emb",
                 words = parts / "vocabulary.safetensors",
                 vocabulary_file = build.vocabulary.empty() ? parts / "vocabulary.tsv" : build.vocabulary;
  if (const auto tower = store_of_source(build.source)) return build_by_neighbours(build, *tower, parts);
  // Before hours of work: that the source is there, and that it reads words.
  const auto source = open_concept_source(build.source, build.source_options);
  source->embed_texts(std::array<std::string, 1>{"a"});
  log::info("concepts from {}", source->weights().describe());

  if (build.vocabulary.empty()) parse(build, build.captions, parsed);
  const ConceptVocabulary vocabulary = vocabulary_of(build, parsed, parts / "vocabulary.tsv");
  ConceptKit kit = embed_vocabulary(*source, vocabulary, build.prompts, words);
  kit.provenance.source = build.source;
  kit.provenance.vocabulary = vocabulary_file;
  kit.provenance.embeddings = words;
  log::info("3/5 concepts embedded: {}", words.string());

  const ImageList images =
      list_images({build.captions}, {.image_root = build.images, .strip_parts = build.strip_parts});
  const EmbedReport embedded = embed_images(*source, images, store, build.embed);
  log::info("4/5 {} pictures embedded, {} of them before, {} unreadable: {}", embedded.embedded + embedded.known,
            embedded.known, embedded.bad, store.string());

  const AssignReport report = assign_concepts(build.captions, {store}, kit, build.out, build.assign);
  log::info("5/5 concepts of {} records assigned: {}", report.records, build.out.string());
  return report;
}

}  // namespace vicha
