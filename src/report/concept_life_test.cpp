// Concepts through a model's life: a first model supplies them, a second is trained with them and finds those of new
// images by itself.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "concepts/kit/concept_kit.h"
#include "data/manifest/rewrite.h"
#include "report/mae_images.h"
#include "tasks/concepts/concept_build.h"
#include "tasks/concepts/concept_finder.h"
#include "tasks/host/model_files.h"
#include "tasks/pretrain/colour_world_test.h"
#include "tasks/retrieval/retrieval.h"

namespace vicha {
namespace {

class ConceptLife : public ColourWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    std::string words;
    for (const auto& [name, rgb] : kColours) words += name + "\n";
    write_file_atomic(folder_ / "colours.tsv", words);
  }

  fs::path train_first(const std::string& out = "first", std::int64_t steps = 200) {
    PretrainRecipe r = recipe();
    r.data.concepts.enabled = r.model.concepts.enabled = false;
    for (const char* off : {"itm", "mlm", "mae"}) r.objectives.at(off).enabled = false;
    r.training.length.max_steps = steps;
    r.training.checkpoint.every_steps = steps;
    return run(r, out).last_checkpoint;
  }
  ConceptBuild build_of(const fs::path& source, const std::string& out = "train.concepts.json") const {
    ConceptBuild build;
    build.captions = folder_ / "train.json";
    build.out = folder_ / out;
    build.source = "vicha:" + source.string();
    build.source_options.device = "cpu";
    build.vocabulary = folder_ / "colours.tsv";
    build.prompts = {"a {} picture"};
    build.assign.k = 2;
    return build;
  }
  fs::path train_second(const fs::path& manifest) {
    PretrainRecipe r = recipe();
    r.data.manifests = {manifest.string()};
    r.eval.manifest = (folder_ / "test.json").string();
    return run(r, "second").last_checkpoint;
  }
  /// What a second model reads of a manifest's images.
  struct Reading {
    ConceptFinder finder;
    DataOptions data;
    std::shared_ptr<const WordPiece> tokenizer;

    std::shared_ptr<const EvaluationSet> load() { return finder.load(data, tokenizer); }
    ConceptsFrom from() const { return finder.from(data); }
    std::string describe() const { return finder.describe(data); }
  };
  Reading reading_of(const fs::path& checkpoint, const std::string& manifest,
                     const ConceptFinderOptions& options = {}) const {
    const LoadedModel loaded = load_trained(checkpoint, "cpu");
    Reading reading{
        {checkpoint_concept_kit(checkpoint), checkpoint.string(), options}, loaded.recipe->data, loaded.tokenizer};
    reading.data.manifests = {(folder_ / manifest).string()};
    return reading;
  }
};

std::string error_of(const auto& what) {
  try {
    what();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(ConceptLife, FromAFirstModelToOneThatFindsConceptsByItself) {
  const ConceptBuild build = build_of(train_first());
  build_concepts(build);
  std::int64_t right = 0, records = 0;
  for_each_record(build.out, [&](const nlohmann::ordered_json& record, std::int64_t) {
    const std::string best = record.at("kwords").at(0).get<std::string>();
    ASSERT_EQ(record.at("kwords").size(), 2U);
    right += record.at("caption").get<std::string>() == "a " + best + " picture" ? 1 : 0;
    ++records;
  });
  EXPECT_EQ(records, 48);
  EXPECT_GT(right, 24);  // chance: 6

  const fs::path second = train_second(build.out);
  const std::optional<ConceptKit> kit = checkpoint_concept_kit(second);
  ASSERT_TRUE(kit);
  EXPECT_TRUE(kit->provenance.same(*concept_provenance_of(build.out)));
  EXPECT_EQ(kit->vocabulary.size(), 8);

  // The images of the training set found again: the same concepts as in the manifest.
  Reading found = reading_of(second, "train.json"), given = reading_of(second, "train.concepts.json");
  EXPECT_EQ(found.from(), ConceptsFrom::kFind);
  EXPECT_EQ(given.from(), ConceptsFrom::kManifest);
  EXPECT_EQ(found.describe(), given.describe());
  EXPECT_EQ(found.describe(), kit->provenance.describe());
  const Tokens a = found.load()->concepts(0, 48), b = given.load()->concepts(0, 48);
  EXPECT_TRUE(at::equal(a.ids, b.ids));
  EXPECT_EQ(found.load()->concepts(0, 48).lengths, b.lengths);  // from the cache

  Reading without = reading_of(second, "train.json", {.from = ConceptsFrom::kNone});
  EXPECT_EQ(without.load()->concepts(0, 48).lengths, std::vector<std::int64_t>(48, 1));
  EXPECT_EQ(without.describe(), "none");

  // The report's masked images read what the model would.
  LoadedModel loaded = load_trained(second, "cpu");
  const MaeExamples seen = mae_examples(loaded, folder_ / "train.json", 4, kit);
  const MaeExamples told = mae_examples(loaded, folder_ / "train.concepts.json", 4, kit);
  ASSERT_EQ(seen.examples.size(), 4U) << seen.left_out;
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(seen.examples[i].error, told.examples[i].error);

  const ImageConcepts one = ConceptFinder(kit, "the second").find(folder_ / "images" / "red0.png");
  EXPECT_EQ(one.words.size(), 2U);
}

TEST_F(ConceptLife, BuildIsRepeatedWithoutWorkAndAfterLosses) {
  const fs::path first = train_first("first", 3);
  const ConceptBuild build = build_of(first);
  build_concepts(build);
  const std::string manifest = read_file(build.out), identity = read_file(build.out.string() + ".identity.json");
  const fs::path parts = folder_ / "train.concepts.parts";
  fs::resize_file(parts / "pictures.emb", fs::file_size(parts / "pictures.emb") - 5);
  fs::remove(parts / "vocabulary.safetensors");
  fs::remove(build.out);
  build_concepts(build);
  EXPECT_EQ(read_file(build.out), manifest);
  EXPECT_EQ(read_file(build.out.string() + ".identity.json"), identity);
}

TEST_F(ConceptLife, TheVocabularyComesFromTheCaptions) {
  ConceptBuild build = build_of(train_first("first", 3));
  build.vocabulary = "";
  build.count.default_stop = false;  // "picture"
  build_concepts(build);
  const ConceptVocabulary vocabulary = ConceptVocabulary::load(folder_ / "train.concepts.parts" / "vocabulary.tsv");
  EXPECT_EQ(concept_provenance_of(build.out)->vocabulary_sha256, vocabulary.sha256());
}

TEST_F(ConceptLife, TwoSourcesDoNotMix) {
  const fs::path first = train_first("first", 3), other = train_first("other", 4);
  const ConceptBuild build = build_of(first);
  build_concepts(build);
  const fs::path second = train_second(build.out);

  // A manifest of another source, in training and in evaluation.
  ConceptBuild another = build_of(other, "other.concepts.json");
  build_concepts(another);
  PretrainRecipe r = recipe();
  r.data.manifests = {build.out.string(), another.out.string()};
  std::string message = error_of([&] { run(r, "mixed"); });
  EXPECT_NE(message.find("do not mix"), std::string::npos) << message;
  EXPECT_NE(message.find(another.out.string()), std::string::npos) << message;
  message = error_of([&] { reading_of(second, "other.concepts.json").load(); });
  EXPECT_NE(message.find("do not mix"), std::string::npos) << message;

  // Other weights where the source's are looked for; then none at all.
  message = error_of([&] { reading_of(second, "test.json", {.source = "vicha:" + other.string()}).load(); });
  EXPECT_NE(message.find("do not mix"), std::string::npos) << message;
  fs::remove_all(folder_ / "first");
  message = error_of([&] { reading_of(second, "test.json").load(); });
  EXPECT_NE(message.find("--concept-source"), std::string::npos) << message;
  EXPECT_NE(message.find("--concepts none"), std::string::npos) << message;
  EXPECT_NO_THROW(reading_of(second, "test.json", {.from = ConceptsFrom::kNone}).load());
}

TEST_F(ConceptLife, DataSetsWithVocabulariesOfTheirOwnTrainOneModel) {
  const fs::path first = train_first("first", 3);
  write_file_atomic(folder_ / "warm.tsv", "red\t3\nyellow\t2\norange\t1\n");
  write_file_atomic(folder_ / "cold.tsv", "blue\t3\ngreen\t2\nred\t1\n");
  ConceptBuild warm = build_of(first, "warm.json"), cold = build_of(first, "cold.json");
  warm.vocabulary = folder_ / "warm.tsv";
  cold.vocabulary = folder_ / "cold.tsv";
  build_concepts(warm);
  build_concepts(cold);
  PretrainRecipe r = recipe();
  r.data.manifests = {warm.out.string(), cold.out.string()};
  const fs::path second = run(r, "second").last_checkpoint;
  const std::optional<ConceptKit> kit = checkpoint_concept_kit(second);
  ASSERT_TRUE(kit);
  EXPECT_EQ(kit->vocabulary.size(), 5);
  // Evaluated on a set with its own vocabulary as in training; on raw images, among the words of both.
  EXPECT_EQ(reading_of(second, "cold.json").from(), ConceptsFrom::kManifest);
  EXPECT_EQ(reading_of(second, "test.json").from(), ConceptsFrom::kFind);
  EXPECT_EQ(reading_of(second, "test.json").load()->image_count(), 8);
}

TEST_F(ConceptLife, AChangedVocabularyIsNoticed) {
  const ConceptBuild build = build_of(train_first("first", 3));
  build_concepts(build);
  write_file_atomic(folder_ / "colours.tsv", "red\nblue\n");
  const std::string message = error_of([&] { load_concept_kit(*concept_provenance_of(build.out)); });
  EXPECT_NE(message.find("colours.tsv"), std::string::npos) << message;
}

}  // namespace
}  // namespace vicha
