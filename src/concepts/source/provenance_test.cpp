#include "concepts/source/provenance.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"

namespace vicha {
namespace {

const ConceptProvenance kMade{{"clip", "ViT-B/32", std::string(64, 'a'), "clip 224"}, std::string(64, 'b'), "a {}"};

TEST(ConceptProvenance, SurvivesJson) {
  const ConceptProvenance back = concept_provenance_from_json(identity_json(kMade), "here");
  EXPECT_TRUE(back.same(kMade));
  EXPECT_EQ(back.weights.name, "ViT-B/32");
}

/// Bytes that users have on their disks.
const std::string kIdentityLine = R"({"weights":{"kind":"clip","name":"ViT-B/32","sha256":")" + std::string(64, 'a') +
                                  R"(","view":"clip 224"},"vocabulary_sha256":")" + std::string(64, 'b') +
                                  R"(","prompt":"a {}"})";

TEST(ConceptProvenance, StandsBesideItsManifestAsItAlwaysDid) {
  const fs::path folder = fs::path(testing::TempDir()) / "vicha_provenance_test";
  fs::create_directories(folder);
  const fs::path manifest = folder / "m.json", file = folder / "m.json.identity.json";
  set_concept_provenance(manifest, kMade);
  EXPECT_EQ(read_file(file), kIdentityLine + "\n");
  EXPECT_EQ(concept_provenance_of(manifest)->source, "");
  EXPECT_TRUE(concept_provenance_of(manifest)->same(kMade));

  ConceptProvenance whole = kMade;
  whole.source = "clip:w.pt";
  whole.k = 7;
  whole.threshold = 0.25;
  whole.vocabulary = folder / "parts" / "v.tsv";
  whole.embeddings = folder.parent_path() / "v.safetensors";
  set_concept_provenance(manifest, whole);
  EXPECT_EQ(read_file(file),
            "{\n \"weights\": {\n  \"kind\": \"clip\",\n  \"name\": \"ViT-B/32\",\n  \"sha256\": \"" +
                std::string(64, 'a') + "\",\n  \"view\": \"clip 224\"\n },\n \"vocabulary_sha256\": \"" +
                std::string(64, 'b') +
                "\",\n \"prompt\": \"a {}\",\n \"source\": \"clip:w.pt\",\n \"k\": 7,\n \"threshold\": "
                "0.25,\n \"vocabulary\": \"parts/v.tsv\",\n \"embeddings\": \"../v.safetensors\"\n}\n");
  const ConceptProvenance back = concept_provenance_of(manifest).value();
  EXPECT_TRUE(back.same(whole));
  EXPECT_EQ(back.k, 7);
  EXPECT_EQ(back.threshold, 0.25);
  EXPECT_EQ(fs::weakly_canonical(back.vocabulary), fs::weakly_canonical(whole.vocabulary));
  EXPECT_EQ(fs::weakly_canonical(back.embeddings), fs::weakly_canonical(whole.embeddings));
  fs::remove_all(folder);
}

TEST(ConceptProvenance, NameIsForPeopleOnly) {
  ConceptProvenance other = kMade;
  other.weights.name = "another file";
  EXPECT_NO_THROW(require_same(kMade, "a", other, "b"));
}

TEST(ConceptProvenance, MixingNamesBoth) {
  for (const auto change :
       {+[](ConceptProvenance& i) { i.weights.sha256 = std::string(64, 'c'); },
        +[](ConceptProvenance& i) { i.vocabulary_sha256 = std::string(64, 'c'); },
        +[](ConceptProvenance& i) { i.weights.view = "clip 336"; }, +[](ConceptProvenance& i) { i.prompt = "{}"; }}) {
    ConceptProvenance other = kMade;
    change(other);
    try {
      require_same(kMade, "store.bin", other, "train.json");
      FAIL() << "two identities passed for one";
    } catch (const DataError& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find("store.bin"), std::string::npos);
      EXPECT_NE(message.find("train.json"), std::string::npos);
      EXPECT_NE(message.find(kMade.describe()), std::string::npos);
      EXPECT_NE(message.find(other.describe()), std::string::npos);
    }
  }
}

TEST(ConceptProvenance, DamagedJson) {
  EXPECT_THROW(concept_provenance_from_json("{", "x"), DataError);
  EXPECT_THROW(concept_provenance_from_json(R"({"weights": 3})", "x"), DataError);
  EXPECT_THROW(source_weights_from_json(R"({"kind": "clip"})", "x"), DataError);
  const std::string begin = kIdentityLine.substr(0, kIdentityLine.size() - 1);
  EXPECT_NO_THROW(concept_provenance_from_json(kIdentityLine, "x"));
  EXPECT_THROW(concept_provenance_from_json(begin + R"(,"source":"clip:w.pt"})", "x"), DataError);
  EXPECT_THROW(concept_provenance_from_json(
                   begin + R"(,"source":"clip:w.pt","k":1e300,"threshold":0,"vocabulary":"","embeddings":""})", "x"),
               DataError);
  EXPECT_THROW(concept_provenance_from_json(
                   begin + R"(,"source":"clip:w.pt","k":0,"threshold":0,"vocabulary":"","embeddings":""})", "x"),
               DataError);
}

}  // namespace
}  // namespace vicha
