#include "concepts/kit/concept_kit.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "concepts/kit/vocabulary_embeddings.h"

namespace vicha {
namespace {

/// Manifests with concepts of vocabularies that share words, as several data sets' do.
class ConceptKits : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("vicha_concept_kits_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    log::set_sink([this](log::Level, std::string_view line) { logged_ += std::string(line) + "\n"; });
  }
  void TearDown() override {
    log::set_sink({});
    fs::remove_all(folder_);
  }

  /// A vector of each word that every vocabulary agrees on.
  static at::Tensor vector_of(const std::string& word) {
    std::vector<float> v(8);
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>((word[i % word.size()] * (i + 3)) % 17) - 7.5f;
    const at::Tensor row = at::tensor(v);
    return row / row.norm();
  }

  static ConceptProvenance identity(const std::string& weights = "w", const std::string& prompt = "{}") {
    return {{"clip", "tiny", weights, "clip 64"}, "", prompt};
  }

  std::string manifest(const std::string& name, std::vector<ConceptWord> words, ConceptProvenance made = identity(),
                       std::int64_t k = 2, double threshold = 0) const {
    const ConceptVocabulary vocabulary(std::move(words));
    const fs::path file = folder_ / (name + ".json"), tsv = folder_ / (name + ".tsv");
    vocabulary.save(tsv);
    made.vocabulary_sha256 = vocabulary.sha256();
    std::vector<at::Tensor> rows;
    for (const ConceptWord& word : vocabulary.words()) rows.push_back(vector_of(word.text));
    save_vocabulary_embeddings({made, vocabulary, at::stack(rows), 10}, tsv.string() + ".safetensors");
    write_file_atomic(file, "[]\n");
    made.source = "clip:" + name + ".pt";
    made.k = k;
    made.threshold = threshold;
    made.vocabulary = tsv;
    made.embeddings = tsv.string() + ".safetensors";
    set_concept_provenance(file, made);
    return file.string();
  }
  std::string coco() const { return manifest("coco", {{"dog", 9}, {"red", 4, ConceptKind::kAttribute}, {"cat", 2}}); }
  std::string vg() const {
    return manifest("vg", {{"tree", 10}, {"red", 7, ConceptKind::kObject}, {"dog", 3}, {"sky", 2}});
  }

  static std::string refused(const std::vector<std::string>& manifests) {
    try {
      common_concept_kit(manifests);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
  std::string logged_;
};

TEST_F(ConceptKits, VocabulariesOfSeveralManifestsBecomeOne) {
  const std::string a = coco(), b = vg();
  const ConceptKit kit = common_concept_kit(std::vector{a, b}).value();
  std::vector<std::pair<std::string, std::int64_t>> words;
  for (const ConceptWord& word : kit.vocabulary.words()) words.emplace_back(word.text, word.count);
  EXPECT_EQ(words, (std::vector<std::pair<std::string, std::int64_t>>{
                       {"dog", 12}, {"red", 11}, {"tree", 10}, {"cat", 2}, {"sky", 2}}));
  EXPECT_EQ(kit.vocabulary.words()[1].kind, ConceptKind::kObject);  // where it has most
  ASSERT_EQ(kit.unit_VE.sizes(), (std::vector<std::int64_t>{5, 8}));
  for (std::int64_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(at::allclose(kit.unit_VE[i], vector_of(kit.vocabulary.word(i)))) << kit.vocabulary.word(i);
  }
  EXPECT_EQ(kit.provenance.vocabulary_sha256, kit.vocabulary.sha256());
  EXPECT_EQ(kit.scale, 10);
  EXPECT_NE(logged_.find("2 vocabularies"), std::string::npos) << logged_;
  EXPECT_NE(logged_.find("vg.tsv (4 concepts)"), std::string::npos) << logged_;
  EXPECT_NE(logged_.find("vocabulary of 5 concepts"), std::string::npos) << logged_;

  // Those of a new image are found among all.
  const ImageConcepts found = nearest_concepts(kit, (vector_of("sky") * 3 + vector_of("cat")).unsqueeze(0)).front();
  EXPECT_EQ(found.words.front(), "sky");
  EXPECT_EQ(found.words.size(), 2U);

  // It covers what it was made of, and nothing else.
  EXPECT_TRUE(kit.provenance.covers(*concept_provenance_of(a)));
  EXPECT_TRUE(kit.provenance.covers(*concept_provenance_of(b)));
  EXPECT_TRUE(kit.provenance.covers(kit.provenance));
  ConceptProvenance other = *concept_provenance_of(a);
  other.weights.sha256 = "x";
  EXPECT_FALSE(kit.provenance.covers(other));
  EXPECT_THROW(require_covered(kit.provenance, "the model", other, "m.json"), DataError);
  EXPECT_FALSE(kit.provenance.covers(*concept_provenance_of(manifest("other", {{"moon", 1}}))));
}

TEST_F(ConceptKits, TheOrderOfManifestsChangesNothing) {
  const std::string a = coco(), b = vg(), c = manifest("sbu", {{"cat", 2, ConceptKind::kRelation}, {"sky", 2}});
  const ConceptKit one = common_concept_kit(std::vector{a, b, c}).value();
  for (const std::vector<std::string>& order : {std::vector{c, b, a}, std::vector{b, a, c, b}}) {
    const ConceptKit other = common_concept_kit(order).value();
    EXPECT_EQ(one.vocabulary.text(), other.vocabulary.text());
    EXPECT_EQ(one.provenance.vocabulary_sha256, other.provenance.vocabulary_sha256);
    EXPECT_EQ(one.provenance.merged_from, other.provenance.merged_from);
    EXPECT_TRUE(at::equal(one.unit_VE, other.unit_VE));
  }
}

TEST_F(ConceptKits, OneVocabularyStaysAsItIs) {
  const std::string a = coco();
  fs::copy_file(a + ".identity.json", folder_ / "again.json.identity.json");
  const ConceptKit kit = common_concept_kit(std::vector{a, (folder_ / "again.json").string()}).value();
  EXPECT_EQ(kit.vocabulary.words().front().count, 9);  // not twice
  EXPECT_TRUE(kit.provenance.merged_from.empty());
  EXPECT_TRUE(kit.provenance.same(*concept_provenance_of(a)));
  EXPECT_EQ(logged_, "");
  EXPECT_FALSE(common_concept_kit(std::vector{(folder_ / "none.json").string()}));
}

TEST_F(ConceptKits, ACheckpointKeepsTheUnion) {
  const std::string a = coco(), b = vg();
  const ConceptKit kit = common_concept_kit(std::vector{a, b}).value();
  const fs::path checkpoint = folder_ / "checkpoint";
  fs::create_directories(checkpoint);
  for (const auto& [name, content] : concept_kit_files(kit)) write_file_atomic(checkpoint / name, content);
  const ConceptKit kept = checkpoint_concept_kit(checkpoint).value();
  EXPECT_EQ(kept.vocabulary.text(), kit.vocabulary.text());
  EXPECT_TRUE(at::equal(kept.unit_VE, kit.unit_VE));
  EXPECT_TRUE(kept.provenance.same(kit.provenance));
  EXPECT_EQ(kept.provenance.k, 2);
  EXPECT_TRUE(kept.provenance.covers(*concept_provenance_of(b)));
}

TEST_F(ConceptKits, OtherWeightsPromptsOrNumbersAreRefused) {
  const std::string a = coco();
  const auto names_both = [&](const std::string& other) {
    const std::string message = refused({a, vg(), other});
    EXPECT_NE(message.find(a), std::string::npos) << message;
    EXPECT_NE(message.find(other), std::string::npos) << message;
    return message;
  };
  EXPECT_NE(names_both(manifest("w", {{"moon", 1}}, identity("v"))).find("do not mix"), std::string::npos);
  EXPECT_NE(names_both(manifest("p", {{"moon", 1}}, identity("w", "a {}"))).find("\"a {}\""), std::string::npos);
  EXPECT_NE(names_both(manifest("k", {{"moon", 1}}, identity(), 3)).find("--k"), std::string::npos);
  EXPECT_NE(names_both(manifest("t", {{"moon", 1}}, identity(), 2, 0.1)).find("threshold 0.1"), std::string::npos);
  EXPECT_NE(refused({a, (folder_ / "silent.json").string()}).find("silent.json"), std::string::npos);

  // The bare identity of another vocabulary: there is nothing to merge.
  const fs::path bare = folder_ / "bare.json";
  ConceptProvenance unknown = identity();
  unknown.vocabulary_sha256 = "somewhere else";
  set_concept_provenance(bare, unknown);
  EXPECT_NE(refused({a, bare.string()}).find("does not say where its vocabulary lies"), std::string::npos);

  // A word with two vectors: one of the files is not what it says.
  const std::string b = vg();
  ConceptKit wrong = load_concept_kit(*concept_provenance_of(b));
  wrong.unit_VE = wrong.unit_VE.flip(0);
  save_vocabulary_embeddings(wrong, folder_ / "vg.tsv.safetensors");
  EXPECT_NE(refused({a, b}).find("another vector"), std::string::npos);
}

}  // namespace
}  // namespace vicha
