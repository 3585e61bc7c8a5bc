#include "concepts/match/assign_neighbours.h"

#include <ATen/ATen.h>

#include "concepts/match/filter_test_support.h"

namespace vicha {
namespace {

using namespace testing_filter;

/// Four pictures on the axes, so that their mean is the origin: cosines are those of the features.
class Neighbours : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("vicha_neighbours_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    write("train.jsonl", R"({"image": "a.png", "caption": "a cat", "artist": "ann"}
{"image": "b.png", "caption": ["a cat and a dog", "a dog"], "artist": "bob"}
{"image": "c.png", "caption": "a fish", "artist": "bob"}
{"image": "d.png", "caption": "a bird", "artist": "cid"}
)");
    write("parsed.jsonl", R"({"caption": "a cat", "objects": ["cat"], "attributes": [], "relations": []}
{"caption": "a cat and a dog", "objects": ["cat", "dog"], "attributes": [], "relations": []}
{"caption": "a dog", "objects": ["dog"], "attributes": [], "relations": []}
{"caption": "a fish", "objects": ["fish"], "attributes": [], "relations": []}
{"caption": "a bird", "objects": ["bird", "sky"], "attributes": [], "relations": []}
)");
    store_of(store(),
             {{"a.png", {1, 0}}, {"b.png", {0, 2}}, {"c.png", {-1, 0}}, {"d.png", {0, -2}}, {"q.png", {2, 1}}});
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const { write_file_atomic(folder_ / name, text); }
  fs::path store() const { return folder_ / "train.emb"; }

  ConceptKit kit(std::int64_t count, double temperature, const std::string& group = "") const {
    ConceptKit kit;
    kit.vocabulary = ConceptVocabulary({{"dog", 3}, {"cat", 2}, {"fish", 1}, {"bird", 1}});
    const EmbeddingStore stored = EmbeddingStore::open(store());
    auto table = std::make_shared<NeighbourTable>(make_neighbour_table(
        folder_ / "train.jsonl", folder_ / "parsed.jsonl", kit.vocabulary, stored, group, CountOptions()));
    kit.provenance = {.weights = stored.source(),
                      .vocabulary_sha256 = kit.vocabulary.sha256(),
                      .source = "tower:" + store().string()};
    kit.provenance.neighbours = NeighbourChoice{
        .count = count, .temperature = temperature, .group = group, .table_sha256 = table->sha256(), .store = store()};
    kit.provenance.vocabulary = folder_ / "vocabulary.tsv";
    kit.provenance.embeddings = folder_ / "neighbours.safetensors";
    kit.vocabulary.save(kit.provenance.vocabulary);
    write_file_atomic(kit.provenance.embeddings, table->bytes());
    kit.neighbours = std::move(table);
    return kit;
  }
  static ImageConcepts asked(const NeighbourFinder& finder, std::vector<float> features, const NeighbourQuery& query) {
    return finder.find(at::tensor(features).unsqueeze(0), {&query, 1}).front();
  }

  fs::path folder_;
};

TEST_F(Neighbours, WordsCountByLikenessAndByShareOfCaptions) {
  const NeighbourFinder finder(kit(2, 1.0), store());
  // Cosines of (2, 1): a 0.8944, b 0.4472; b's weight is exp(-0.4472) = 0.6394.
  const ImageConcepts found = asked(finder, {2, 1}, {.key = "q.png"});
  ASSERT_EQ(found.words, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_NEAR(found.cosines[0], (1 + 0.6394 / 2) / 1.6394, 1e-4);
  EXPECT_NEAR(found.cosines[1], 0.6394 / 1.6394, 1e-4);
}

TEST_F(Neighbours, APictureIsNotItsOwnNeighbour) {
  const NeighbourFinder finder(kit(1, 1.0), store());
  EXPECT_EQ(asked(finder, {1, 0}, {}).words, std::vector<std::string>{"cat"});
  // b and d are equally like it: the earlier one.
  EXPECT_EQ(asked(finder, {1, 0}, {.key = "a.png"}).words, (std::vector<std::string>{"dog", "cat"}));
}

TEST_F(Neighbours, NorAreThoseOfItsGroup) {
  const ConceptKit made = kit(1, 1.0, "artist");
  ASSERT_EQ(made.neighbours->group_names, (std::vector<std::string>{"ann", "bob", "cid"}));
  const NeighbourFinder finder(made, store());
  EXPECT_EQ(asked(finder, {-1, 0.1f}, {.key = "q.png"}).words, std::vector<std::string>{"fish"});
  EXPECT_EQ(asked(finder, {-1, 0.1f}, {.key = "q.png", .group = 1}).words, std::vector<std::string>{"bird"});
  EXPECT_EQ(made.neighbours->group_named("eve"), -1);
  EXPECT_THROW(kit(1, 1.0, "album"), DataError);
}

TEST_F(Neighbours, AnswersDoNotDependOnWhatElseIsAsked) {
  const ConceptKit made = kit(3, 0.1);
  const NeighbourFinder finder(made, store());
  const at::Tensor rows = at::tensor({2.f, 1.f, -1.f, 3.f, 0.5f, -2.f}).view({3, 2});
  const std::vector<NeighbourQuery> queries(3);
  const std::vector<ImageConcepts> together = finder.find(rows, queries);
  for (std::int64_t i = 0; i < 3; ++i) {
    const ImageConcepts alone = finder.find(rows.slice(0, i, i + 1), {queries.data(), 1}).front();
    EXPECT_EQ(alone.words, together[static_cast<std::size_t>(i)].words);
    EXPECT_EQ(alone.cosines, together[static_cast<std::size_t>(i)].cosines);
  }
}

TEST_F(Neighbours, ManifestsGetTheirWordsAndSayWhereFrom) {
  const ConceptKit made = kit(1, 1.0, "artist");
  const NeighbourFinder finder(made, store());
  const AssignReport report = assign_by_neighbours(folder_ / "train.jsonl", store(), finder, folder_ / "out.jsonl", {});
  EXPECT_EQ(report.records, 4);
  EXPECT_EQ(report.images, 4);
  const std::vector<Ordered> rows = rows_of(folder_ / "out.jsonl");
  EXPECT_EQ(rows[0].at("kwords"), (Ordered{"dog", "cat"}));  // b and d are as near; b is first
  EXPECT_EQ(rows[1].at("kwords"), Ordered{"cat"});           // c is bob's too
  EXPECT_EQ(rows[0].at("artist"), "ann");
  const auto told = concept_provenance_of(folder_ / "out.jsonl");
  ASSERT_TRUE(told && told->neighbours);
  EXPECT_TRUE(told->same(made.provenance));
  // A kit from what stands beside the manifest, and from a checkpoint, finds the same.
  const ConceptKit read = *common_concept_kit(std::vector<std::string>{(folder_ / "out.jsonl").string()});
  fs::create_directories(folder_ / "checkpoint");
  for (const auto& [name, content] : concept_kit_files(read)) write_file_atomic(folder_ / "checkpoint" / name, content);
  const ConceptKit kept = *checkpoint_concept_kit(folder_ / "checkpoint");
  EXPECT_EQ(fs::weakly_canonical(kept.provenance.neighbours->store), fs::weakly_canonical(store()));
  const NeighbourFinder again(kept, kept.provenance.neighbours->store);
  EXPECT_EQ(asked(again, {2, 1}, {}).words, asked(finder, {2, 1}, {}).words);
  // Another temperature is another way.
  ConceptProvenance other = made.provenance;
  other.neighbours->temperature = 0.5;
  EXPECT_FALSE(other.same(made.provenance));
}

TEST_F(Neighbours, OtherStoresAndTablesAreRefused) {
  const ConceptKit made = kit(1, 1.0);
  const fs::path lacks = folder_ / "lacks.emb", other = folder_ / "other.emb";
  store_of(lacks, {{"a.png", {1, 0}}, {"b.png", {0, 2}}});
  store_of(other, {{"a.png", {1, 0}}, {"b.png", {0, 2}}, {"c.png", {-1, 0}}, {"d.png", {0, -2}}}, "b");
  const auto refused = [&](const fs::path& file) {
    try {
      NeighbourFinder(made, file);
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refused(lacks).find("lacks \"c.png\""), std::string::npos) << refused(lacks);
  EXPECT_NE(refused(other).find("comes from clip b"), std::string::npos) << refused(other);

  const std::string bytes = read_file(made.provenance.embeddings);
  write_file_atomic(made.provenance.embeddings, bytes.substr(0, bytes.size() / 2));
  EXPECT_THROW(load_concept_kit(made.provenance), DataError);
  ConceptKit changed = kit(1, 1.0);
  NeighbourTable table = *changed.neighbours;
  table.contents[0] = 7;
  write_file_atomic(changed.provenance.embeddings, table.bytes());
  EXPECT_THROW(load_concept_kit(changed.provenance), DataError);
  // Words beyond the vocabulary.
  EXPECT_THROW(NeighbourTable::load(changed.provenance.embeddings, 2), DataError);
}

}  // namespace
}  // namespace vicha
