#include "concepts/kit/vocabulary_embeddings.h"

#include "concepts/vocabulary/colour_source_test_support.h"

namespace vicha {
namespace {

class VocabularyVectors : public ConceptFolder {};

std::vector<std::string> numbered(int count) {
  std::vector<std::string> words;
  for (int i = 0; i < count; ++i) words.push_back("word" + std::to_string(i));
  return words;
}

TEST_F(VocabularyVectors, SeveralPromptsAreAveragedAfterNormalisation) {
  ColourSource source;
  const std::vector<std::string> prompts = {"a {}", "a dark {}, {}"};
  const ConceptKit got = embed_vocabulary(source, words({"red", "blue"}), prompts);
  const at::Tensor a = source.embed_texts(std::vector<std::string>{"a red", "a blue"}),
                   b = source.embed_texts(std::vector<std::string>{"a dark red, red", "a dark blue, blue"});
  const auto unit = [](const at::Tensor& x) { return x / x.norm(2, {1}, true); };
  EXPECT_TRUE(at::allclose(got.unit_VE, unit(unit(a) + unit(b)), 1e-6, 1e-6));
  EXPECT_EQ(got.provenance.prompt, "a {} | a dark {}, {}");
  EXPECT_EQ(got.scale, 60);
  EXPECT_THROW(embed_vocabulary(source, words({"red"}), std::vector<std::string>{"no place"}), UsageError);
  EXPECT_EQ(fill_prompt("{}{} {", "x"), "xx {");
}

TEST_F(VocabularyVectors, AreKeptWithTheirIdentity) {
  ColourSource source;
  const fs::path file = folder_ / "v.safetensors";
  const ConceptVocabulary vocabulary = words({"red", "green", "blue"});
  const ConceptKit made = embed_vocabulary(source, vocabulary, {}, file);
  const std::int64_t seen = source.texts_seen;
  const ConceptKit read = embed_vocabulary(source, vocabulary, {}, file);
  EXPECT_EQ(source.texts_seen, seen);
  EXPECT_TRUE(at::equal(made.unit_VE, read.unit_VE));
  EXPECT_TRUE(read.provenance.same(made.provenance));
  EXPECT_EQ(read.scale, made.scale);
  EXPECT_FALSE(fs::exists(file.string() + ".partial"));
  const std::vector<std::string> prompt = {"a {}"};
  EXPECT_EQ(embed_vocabulary(source, vocabulary, prompt, file).provenance.prompt, "a {}");
  EXPECT_GT(source.texts_seen, seen);
  write_file_atomic(file, "something else");
  EXPECT_THROW(load_vocabulary_embeddings(file, vocabulary), DataError);
}

TEST_F(VocabularyVectors, AKilledRunGoesOnWhereItWas) {
  const ConceptVocabulary vocabulary = words(numbered(700));
  const fs::path file = folder_ / "v.safetensors";
  ColourSource whole, dying, next;
  const ConceptKit wanted = embed_vocabulary(whole, vocabulary, {});
  dying.fail_after = 600;
  // The store of the partial file puts a block down when it is full, or when the writer goes in good order.
  EXPECT_THROW(embed_vocabulary(dying, vocabulary, {}, file), Error);
  EXPECT_FALSE(fs::exists(file));
  const ConceptKit got = embed_vocabulary(next, vocabulary, {}, file);
  EXPECT_TRUE(at::equal(got.unit_VE, wanted.unit_VE));
  // The same with another vocabulary's unfinished work in the way.
  dying.fail_after = dying.texts_seen + 300;
  const ConceptVocabulary other = words(numbered(650));
  EXPECT_THROW(embed_vocabulary(dying, other, {}, file), Error);
  EXPECT_TRUE(at::equal(embed_vocabulary(next, vocabulary, {}, folder_ / "v.safetensors").unit_VE, wanted.unit_VE));
  EXPECT_THROW(embed_vocabulary(next, ConceptVocabulary(), {}), DataError);
}

}  // namespace
}  // namespace vicha
