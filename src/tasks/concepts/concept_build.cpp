#include "tasks/concepts/concept_build.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "concepts/kit/vocabulary_embeddings.h"

namespace vicha {
namespace {

/// "a/pretrain.concepts.json" -> "a/pretrain.concepts.parts".
fs::path folder_of_parts(const fs::path& out) {
  fs::path parts = out;
  return parts.replace_extension(".parts");
}

/// Parsed again if they are of other captions: what is kept is only as good as what it was made of.
void parse(const ConceptBuild& build, const fs::path& file) {
  const auto run = [&] { return parse_captions({build.captions}, file, build.parse); };
  ParseRun result;
  try {
    result = run();
  } catch (const DataError& error) {
    if (!fs::exists(file)) throw;
    log::warning("{}. It is begun anew", error.what());
    fs::remove(file);
    result = run();
  }
  log::info("1/5 {} captions parsed, {} of them before", result.captions, result.found);
}

ConceptVocabulary vocabulary_of(const ConceptBuild& build, const fs::path& parsed, const fs::path& file) {
  if (!build.vocabulary.empty()) {
    ConceptVocabulary vocabulary = ConceptVocabulary::load(build.vocabulary);
    log::info("2/5 {} concepts in {}", vocabulary.size(), build.vocabulary.string());
    return vocabulary;
  }
  ConceptVocabulary vocabulary = count_concepts(std::array{parsed}, build.count);
  vocabulary.save(file);
  log::info("2/5 {} concepts counted: {}", vocabulary.size(), file.string());
  return vocabulary;
}

}  // namespace

AssignReport build_concepts(const ConceptBuild& build) {
  if (fs::exists(build.out) && fs::equivalent(build.out, build.captions)) {
    throw UsageError("--out is the manifest itself; name another file");
  }
  const fs::path parts = folder_of_parts(build.out);
  fs::create_directories(parts);
  const fs::path parsed = parts / "captions.jsonl", store = parts / "pictures.emb",
                 words = parts / "vocabulary.safetensors",
                 vocabulary_file = build.vocabulary.empty() ? parts / "vocabulary.tsv" : build.vocabulary;
  // Before hours of work: that the source is there, and that it reads words.
  const auto source = open_concept_source(build.source, build.source_options);
  source->embed_texts(std::array<std::string, 1>{"a"});
  log::info("concepts from {}", source->weights().describe());

  if (build.vocabulary.empty()) parse(build, parsed);
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
