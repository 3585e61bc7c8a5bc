#include "concepts/match/assign.h"

#include <nlohmann/json.hpp>

#include "concepts/embed/embed.h"
#include "concepts/kit/vocabulary_embeddings.h"
#include "concepts/vocabulary/colour_source_test_support.h"
#include "data/manifest/rewrite.h"

namespace vicha {
namespace {

using AssignedRow = nlohmann::ordered_json;

class Assign : public ConceptFolder {
 protected:
  void SetUp() override {
    ConceptFolder::SetUp();
    write_image("r.png", {"red"});
    write_image("g.png", {"green"});
    write_image("b.png", {"blue"});
    write_image("cells.png", {"red", "green", "red", "white"}, 2);
    manifest_ = write_manifest("in.jsonl", {"r.png", "g.png", "r.png", "b.png"});
  }
  fs::path embed(ConceptSource& source, const fs::path& manifest, const std::string& store, std::int64_t regions = 0) {
    embed_images(source, list_images({manifest}), folder_ / store, {.threads = 2, .regions = regions});
    return folder_ / store;
  }
  static std::vector<AssignedRow> rows(const fs::path& manifest) {
    std::vector<AssignedRow> result;
    for_each_record(manifest, [&](const AssignedRow& row, std::int64_t) { result.push_back(row); });
    return result;
  }

  ColourSource source_;
  ConceptVocabulary vocabulary_ = words({"yellow", "red", "green", "blue"});
  fs::path manifest_;
};

TEST_F(Assign, WritesTheBestWordsAndKeepsTheRest) {
  const fs::path store = embed(source_, manifest_, "s.emb"), out = folder_ / "out.jsonl";
  const ConceptKit kit = embed_vocabulary(source_, vocabulary_, {});
  const AssignReport report = assign_concepts(manifest_, {store}, kit, out, {.k = 2});
  EXPECT_EQ(report.records, 4);
  EXPECT_EQ(report.images, 3);
  const auto records = rows(out);
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0]["kwords"], (AssignedRow{"red", "yellow"}));
  EXPECT_EQ(records[1]["kwords"], (AssignedRow{"green", "yellow"}));
  EXPECT_EQ(records[2], records[0]);
  EXPECT_EQ(records[3]["kwords"][0], "blue");
  EXPECT_NEAR(records[0]["kword_scores"][0].get<double>(), 1.0, 1e-3);
  EXPECT_EQ(records[3]["more"]["n"], 1);
  ASSERT_TRUE(concept_provenance_of(out).has_value());
  EXPECT_TRUE(concept_provenance_of(out)->same(kit.provenance));
  EXPECT_FALSE(concept_provenance_of(manifest_).has_value());
}

/// Pictures in a list and in fields of their own: each gets its words beside it, and nothing is written where one is in
/// no store.
TEST_F(Assign, FillsEveryPictureOfARecord) {
  const fs::path manifest = folder_ / "pairs.jsonl", out = folder_ / "out.jsonl";
  write_file_atomic(manifest, R"({"images": ["images/r.png", "images/b.png"], "sentence": "s", "kwords": ["all"]})"
                              "\n"
                              R"({"images": ["images/g.png", "images/r.png"], "sentence": "t"})"
                              "\n");
  const ImageList listed = list_images({manifest});
  EXPECT_EQ(listed.keys, (std::vector<std::string>{"images/r.png", "images/b.png", "images/g.png"}));
  const fs::path store = embed(source_, manifest, "s.emb");
  const ConceptKit kit = embed_vocabulary(source_, vocabulary_, {});
  const AssignReport report = assign_concepts(manifest, {store}, kit, out, {.k = 2});
  EXPECT_EQ(report.records, 2);
  EXPECT_EQ(report.images, 3);
  auto records = rows(out);
  EXPECT_EQ(records[0]["kwords1"], (AssignedRow{"red", "yellow"}));
  EXPECT_EQ(records[0]["kwords2"][0], "blue");
  EXPECT_EQ(records[0]["kwords"], AssignedRow::array({"all"})) << "of both, as it stood";
  EXPECT_EQ(records[1]["kwords1"][0], "green");
  EXPECT_EQ(records[1]["kwords2"], records[0]["kwords1"]);
  EXPECT_EQ(records[0]["kword_scores2"].size(), 2u);

  write_file_atomic(manifest, R"({"image": "images/b.png", "image2": "images/g.png", "sentence": "s"})"
                              "\n"
                              R"({"image": "images/r.png", "sentence": "about one alone"})"
                              "\n"
                              R"({"image": "images/r.png", "image2": "images/unknown.png", "sentence": "t"})"
                              "\n");
  EXPECT_EQ(list_images({manifest}).size(), 4);
  const AssignReport apart = assign_concepts(manifest, {store}, kit, out, {.k = 1});
  EXPECT_EQ(apart.left_out, 1);
  records = rows(out);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0]["kwords"], AssignedRow::array({"blue"}));
  EXPECT_EQ(records[0]["kwords2"], AssignedRow::array({"green"}));
  EXPECT_FALSE(records[1].contains("kwords2"));

  write_file_atomic(manifest, R"({"images": ["images/r.png", 7], "sentence": "s"})");
  try {
    assign_concepts(manifest, {store}, kit, out, {});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("pairs.jsonl, record 0: field \"images\": its picture 2"),
              std::string::npos)
        << error.what();
  }
}

TEST_F(Assign, SaysHowTheConceptsWereChosen) {
  const fs::path manifest = write_manifest("cells.jsonl", {"cells.png", "b.png"}), out = folder_ / "out.jsonl";
  const fs::path store = embed(source_, manifest, "s.emb", 2);
  ConceptKit kit = embed_vocabulary(source_, vocabulary_, {});
  kit.provenance.source = "test:colours";
  assign_concepts(manifest, {store}, kit, out, {.k = 2, .threshold = 0.1});
  EXPECT_EQ(concept_provenance_of(out)->source, "test:colours");
  EXPECT_EQ(concept_provenance_of(out)->k, 2);
  EXPECT_EQ(concept_provenance_of(out)->threshold, 0.1);
  // A kit does not find tags of regions.
  assign_concepts(manifest, {store}, kit, out, {.regions = TagOptions{}});
  EXPECT_EQ(concept_provenance_of(out)->source, "");
}

TEST_F(Assign, ThresholdLeavesUnlikelyWordsOut) {
  const fs::path store = embed(source_, manifest_, "s.emb"), out = folder_ / "out.json";
  const ConceptKit kit = embed_vocabulary(source_, vocabulary_, {});
  AssignReport report = assign_concepts(manifest_, {store}, kit, out, {.k = 3, .threshold = 0.5});
  EXPECT_EQ(report.without_words, 0);
  EXPECT_EQ(rows(out)[0]["kwords"], AssignedRow::array({"red"}));
  const ConceptVocabulary unfit = words({"red", "red too"});
  report = assign_concepts(manifest_, {store}, embed_vocabulary(source_, unfit, {}), out, {.threshold = 0.9});
  EXPECT_EQ(report.without_words, 3);
  EXPECT_EQ(rows(out)[0]["kwords"], AssignedRow::array());
}

TEST_F(Assign, MixedSourcesAreRefused) {
  const fs::path store = embed(source_, manifest_, "s.emb"), out = folder_ / "out.json";
  ColourSource other(std::string(64, 'b'));
  try {
    assign_concepts(manifest_, {store}, embed_vocabulary(other, vocabulary_, {}), out, {});
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("bbbbbbbbbbbb"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("aaaaaaaaaaaa"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(Assign, ImagesInNoStoreAreLeftOutIfTheyAreFew) {
  const fs::path store = embed(source_, manifest_, "s.emb"), out = folder_ / "out.jsonl";
  const fs::path more = write_manifest("more.jsonl", {"r.png", "unknown.png", "b.png"});
  const ConceptKit kit = embed_vocabulary(source_, vocabulary_, {});
  const AssignReport report = assign_concepts(more, {store}, kit, out, {});
  EXPECT_EQ(report.left_out, 1);
  EXPECT_EQ(report.records, 2);
  EXPECT_EQ(rows(out)[1]["image"], "images/b.png");
  const fs::path none = write_manifest("none.jsonl", {"unknown.png"});
  EXPECT_THROW(assign_concepts(none, {store}, kit, out, {}), DataError);
  std::vector<std::string> names(9, "unknown.png");
  names.push_back("r.png");
  EXPECT_THROW(assign_concepts(write_manifest("few.jsonl", names), {store}, kit, out, {}), DataError);
}

TEST_F(Assign, StoresOfRanksTogether) {
  std::vector<fs::path> stores;
  for (int rank = 0; rank < 2; ++rank) {
    stores.push_back(folder_ / store_of_rank("s.emb", rank, 2));
    embed_images(source_, list_images({manifest_}), stores.back(), {.threads = 1, .rank = rank, .ranks = 2});
  }
  const ConceptKit kit = embed_vocabulary(source_, vocabulary_, {});
  assign_concepts(manifest_, stores, kit, folder_ / "ranks.jsonl", {.k = 2});
  const fs::path one = embed(source_, manifest_, "one.emb");
  assign_concepts(manifest_, {one}, kit, folder_ / "one.jsonl", {.k = 2});
  EXPECT_EQ(read_file(folder_ / "ranks.jsonl"), read_file(folder_ / "one.jsonl"));
}

TEST_F(Assign, RegionsHaveTags) {
  const fs::path manifest = write_manifest("cells.jsonl", {"cells.png", "b.png"}), out = folder_ / "tags.jsonl";
  const fs::path store = embed(source_, manifest, "r.emb", 2);
  const ConceptKit kit = embed_vocabulary(source_, vocabulary_, {});
  AssignOptions options{.regions = TagOptions{.threshold = 0.5, .num_tags = 2}};
  assign_concepts(manifest, {store}, kit, out, options);
  const auto records = rows(out);
  EXPECT_EQ(records[0]["region_tags"][0], "red");
  EXPECT_EQ(records[0]["region_tags"][1], "green");
  EXPECT_EQ(records[0]["region_tags"][2], "red");
  ASSERT_EQ(records[0]["region_tags"].size(), 4u);
  EXPECT_LE(records[0]["kwords"].size(), 2u);
  EXPECT_EQ(records[1]["kwords"], AssignedRow::array({"blue"}));
  EXPECT_EQ(records[1]["region_tags"], AssignedRow::array({"blue", "blue", "blue", "blue"}));
  options.regions->threshold = 1.1;
  assign_concepts(manifest, {store}, kit, out, options);
  EXPECT_EQ(rows(out)[0]["region_tags"], AssignedRow::array({nullptr, nullptr, nullptr, nullptr}));
  EXPECT_EQ(rows(out)[0]["kwords"], AssignedRow::array());
  // Without the option, such a store serves whole images.
  assign_concepts(manifest, {store}, kit, out, {.k = 1});
  EXPECT_EQ(rows(out)[1]["kwords"], AssignedRow::array({"blue"}));
  EXPECT_THROW(assign_concepts(manifest_, {embed(source_, manifest_, "s.emb")}, kit, out, options), DataError);
}

TEST_F(Assign, TagsOfAImageAreItsLikeliestDistinctOnes) {
  NearestWords nearest;
  nearest.images = 5;
  nearest.k = 1;
  nearest.words = {7, 3, 4, 3, 9};
  nearest.cosines = {0, 0, 0, 0, 0};
  nearest.probabilities = {0.55f, 0.6f, 0.5f, 0.9f, 0.4f};
  const ImageTags tags = tags_of(nearest, 0, 5, {.threshold = 0.5, .num_tags = 2});
  ASSERT_EQ(tags.regions.size(), 4u);
  EXPECT_EQ(tags.regions[0].word, 3);
  EXPECT_EQ(tags.regions[1].word, 4);
  EXPECT_EQ(tags.regions[3].word, -1);
  ASSERT_EQ(tags.best.size(), 2u);
  EXPECT_EQ(tags.best[0].word, 3);
  EXPECT_FLOAT_EQ(tags.best[0].probability, 0.9f);
  EXPECT_EQ(tags.best[1].word, 7);
  EXPECT_EQ(region_side(37, "x"), 6);
  EXPECT_THROW(region_side(36, "x"), DataError);
  EXPECT_THROW(region_side(1, "x"), DataError);
}

TEST_F(Assign, ConceptsThatStandInAField) {
  const fs::path in = folder_ / "tagged.json", out = folder_ / "out.json";
  write_file_atomic(in, R"([{"image": "a.png", "labels": ["cat", "sofa", "lamp"]}, {"image": "b.png", "labels": []}])");
  const AssignReport report = assign_from_field(in, "labels", out, 2);
  EXPECT_EQ(report.records, 2);
  EXPECT_EQ(report.without_words, 1);
  EXPECT_EQ(report.words_used, 2);
  EXPECT_EQ(rows(out)[0]["kwords"], AssignedRow::array({"cat", "sofa"}));
  EXPECT_EQ(concept_provenance_of(out)->weights.kind, "manifest");
  EXPECT_EQ(concept_provenance_of(out)->source, "manifest:labels");
  EXPECT_EQ(concept_provenance_of(out)->k, 2);
  EXPECT_FALSE(field_provenance("labels", 2).same(field_provenance("tags", 2)));
  EXPECT_THROW(assign_from_field(in, "tags", out, 2), DataError);
}

}  // namespace
}  // namespace vicha
