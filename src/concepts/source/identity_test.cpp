#include "concepts/source/identity.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace vicha {
namespace {

const ConceptIdentity kIdentity{{"clip", "ViT-B/32", std::string(64, 'a'), "clip 224"}, std::string(64, 'b'), "a {}"};

TEST(ConceptIdentity, SurvivesJson) {
  const ConceptIdentity back = concept_identity_from_json(to_json(kIdentity), "here");
  EXPECT_TRUE(back.same(kIdentity));
  EXPECT_EQ(back.weights.name, "ViT-B/32");
}

TEST(ConceptIdentity, NameIsForPeopleOnly) {
  ConceptIdentity other = kIdentity;
  other.weights.name = "another file";
  EXPECT_NO_THROW(require_same(kIdentity, "a", other, "b"));
}

TEST(ConceptIdentity, MixingNamesBoth) {
  for (const auto change :
       {+[](ConceptIdentity& i) { i.weights.sha256 = std::string(64, 'c'); },
        +[](ConceptIdentity& i) { i.vocabulary_sha256 = std::string(64, 'c'); },
        +[](ConceptIdentity& i) { i.weights.view = "clip 336"; }, +[](ConceptIdentity& i) { i.prompt = "{}"; }}) {
    ConceptIdentity other = kIdentity;
    change(other);
    try {
      require_same(kIdentity, "store.bin", other, "train.json");
      FAIL() << "two identities passed for one";
    } catch (const DataError& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find("store.bin"), std::string::npos);
      EXPECT_NE(message.find("train.json"), std::string::npos);
      EXPECT_NE(message.find(kIdentity.describe()), std::string::npos);
      EXPECT_NE(message.find(other.describe()), std::string::npos);
    }
  }
}

TEST(ConceptIdentity, DamagedJson) {
  EXPECT_THROW(concept_identity_from_json("{", "x"), DataError);
  EXPECT_THROW(concept_identity_from_json(R"({"weights": 3})", "x"), DataError);
  EXPECT_THROW(source_weights_from_json(R"({"kind": "clip"})", "x"), DataError);
}

}  // namespace
}  // namespace vicha
