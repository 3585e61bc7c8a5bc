#include "concepts/vocabulary/count_concepts.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/log.h"
#include "concepts/store/store_test_support.h"

namespace vicha::count_test {
namespace {

using store_test::contains, store_test::message_of, store_test::Place, store_test::write_bytes;

const SceneGraph kSofa{{"dog", "sofa"}, {{"dog", "brown"}}, {{"dog", "on", "sofa"}}};
const SceneGraph kBike{{"dog", "bike", "picture"}, {{"dog", "brown"}, {"picture", "old"}}, {{"dog", "inside", "bike"}}};

/// "dog 2|sofa 1".
std::string listing(const ConceptVocabulary& vocabulary) {
  std::string text;
  for (const ConceptWord& word : vocabulary.words()) {
    text += fmt::format("{}{} {}", text.empty() ? "" : "|", word.text, word.count);
  }
  return text;
}

std::string counted(const CountOptions& options, const std::vector<SceneGraph>& graphs = {kSofa, kBike}) {
  ConceptCounter counter(options);
  for (const SceneGraph& graph : graphs) counter.add(graph);
  return listing(counter.vocabulary());
}

TEST(ConceptCounter, CountsTheKindsThatAreAsked) {
  EXPECT_EQ(counted({}), "dog 2|bike 1|sofa 1");
  EXPECT_EQ(counted({.objects = false, .attributes = true}), "brown dog 2");
  EXPECT_EQ(counted({.objects = false, .relations = true}), "dog inside bike 1|dog on sofa 1");
  EXPECT_EQ(counted({.attributes = true, .relations = true}),
            "brown dog 2|dog 2|bike 1|dog inside bike 1|dog on sofa 1|sofa 1");
  EXPECT_THROW(ConceptCounter({.objects = false}), UsageError);
}

TEST(ConceptCounter, KindOfAWordIsItsMostFrequent) {
  ConceptCounter counter({.attributes = true});
  counter.add(SceneGraph{{"hot dog"}, {{"dog", "hot"}}, {}});
  counter.add(SceneGraph{{}, {{"dog", "hot"}}, {}});
  const ConceptVocabulary words = counter.vocabulary();
  ASSERT_EQ(words.size(), 1);
  EXPECT_EQ(words.words()[0].count, 3);
  EXPECT_EQ(words.words()[0].kind, ConceptKind::kAttribute);
}

TEST(ConceptCounter, KeepsTheMostFrequent) {
  EXPECT_EQ(counted({.top = 2}), "dog 2|bike 1");  // bike before sofa: by text
  EXPECT_EQ(counted({.top = 0}), "dog 2|bike 1|sofa 1");
  EXPECT_EQ(counted({.min_count = 2}), "dog 2");
  EXPECT_EQ(counted({.top = 1, .min_count = 1}), "dog 2");
  EXPECT_TRUE(contains(message_of([] { counted({.min_count = 3}); }), "none of 3 concepts was seen 3 times"));
  EXPECT_TRUE(contains(message_of([] { counted({}, {SceneGraph{}}); }), "1 captions name no concept"));
}

TEST(ConceptCounter, StopWords) {
  EXPECT_EQ(counted({.default_stop = false}), "dog 2|bike 1|picture 1|sofa 1");
  EXPECT_EQ(counted({.attributes = true, .relations = true, .stop = {"dog"}}), "bike 1|sofa 1");
  EXPECT_EQ(counted({.attributes = true, .stop = {"brown dog"}}), "dog 2|bike 1|sofa 1");
  EXPECT_EQ(counted({.objects = false, .relations = true, .stop = {"inside"}}), "dog on sofa 1");
  for (const std::string_view word : default_stop_words()) EXPECT_EQ(concept_form(word), word);
  ConceptCounter counter({});
  counter.add(kBike);
  EXPECT_EQ(counter.report().stopped, 1);
}

TEST(ConceptCounter, MergedForms) {
  EXPECT_EQ(counted({.relations = true, .merged = {{"bike", "bicycle"}}}),
            "dog 2|bicycle 1|dog inside bicycle 1|dog on sofa 1|sofa 1");
  EXPECT_EQ(counted({.attributes = true, .merged = {{"brown dog", "hound"}}}), "dog 2|hound 2|bike 1|sofa 1");
  // Two words of a caption that become one count once; a word may be merged into a stop word.
  EXPECT_EQ(counted({.merged = {{"sofa", "dog"}}}), "dog 2|bike 1");
  EXPECT_EQ(counted({.merged = {{"dog", "picture"}}}), "bike 1|sofa 1");
}

TEST(ConceptCounter, WhatNamesNothingIsLeftOut) {
  const SceneGraph odd{
      {"x", "2010", "---", "#tag", "", " Two  Words ", "d\xFFg", "犬", std::string(300, 'a'), "Éclair"}, {}, {}};
  EXPECT_EQ(counted({}, {odd}), "two words 1|éclair 1");
  EXPECT_EQ(counted({.min_length = 1}, {odd}), "two words 1|x 1|éclair 1|犬 1");
}

TEST(ConceptCounter, MemoryIsBounded) {
  int warnings = 0;
  log::set_sink([&](log::Level level, std::string_view) { warnings += level == log::Level::kWarning; });
  ConceptCounter counter({.relations = true, .max_entries = 100});
  for (int i = 0; i < 1000; ++i) {
    const std::string other = fmt::format("thing{}", i);
    counter.add(SceneGraph{{"dog", i % 2 ? "cat" : "bird"}, {}, {{"dog", "near", other}, {"dog", "near", "cat"}}});
    ASSERT_LE(counter.report().distinct, 100);
  }
  log::set_sink({});
  const CountReport report = counter.report();
  EXPECT_GT(report.pruned, 850);
  EXPECT_EQ(report.undercount, warnings);  // each time what had been seen once
  // All that is frequent is exact: it was never dropped.
  const ConceptVocabulary words = counter.vocabulary();
  EXPECT_EQ(words.words()[0].count, 1000);
  EXPECT_EQ(words.word(0), "dog");
  EXPECT_EQ(words.word(1), "dog near cat");
  EXPECT_EQ(words.words()[1].count, 1000);
  EXPECT_EQ(words.words()[2].count, 500);
  EXPECT_EQ(words.words()[3].count, 500);
}

TEST(CountConcepts, TellsInputsApart) {
  const Place place;
  write_bytes(place / "parsed.jsonl",
              "{\"caption\": \"A brown dog on a sofa.\", \"objects\": [\"dog\", \"sofa\"], "
              "\"attributes\": [[\"dog\", \"brown\"]], \"relations\": [[\"dog\", \"on\", \"sofa\"]]}\n"
              "{\"caption\": \"\", \"objects\": []}\n");
  write_bytes(place / "list.json", R"([{"image": "a.jpg", "caption": ["A dog.", "A cat on a sofa."]},
                                       {"image": "b.jpg", "caption": "A dog.", "objects": "of others"}])");
  write_bytes(place / "lines.json", "\xEF\xBB\xBF{\"caption\": \"A dog.\", \"image\": \"a.jpg\"}\r\n");
  write_bytes(place / "old.tsv", "# counts\n\ncat\t40\tobject\nold cat\t7\tattribute\n");
  CountReport report;
  const CountOptions options{.attributes = true, .threads = 2, .scene_graphs = {.links = LinkUse::kNever}};
  const std::vector<fs::path> inputs = {place / "parsed.jsonl", place / "list.json", place / "lines.json",
                                        place / "old.tsv"};
  EXPECT_EQ(listing(count_concepts(inputs, options, &report)), "cat 41|old cat 7|dog 4|sofa 2|brown dog 1");
  EXPECT_EQ(report.captions, 6);
  EXPECT_EQ(report.without_objects, 1);
  EXPECT_EQ(report.distinct, 5);
}

TEST(CountConcepts, CaptionsOfTwoParsersDoNotMix) {
  const Place place;
  write_bytes(place / "old.jsonl", "{\"caption\": \"dog &amp; cat\", \"objects\": [\"dog\", \"amp\", \"cat\"]}\n");
  write_bytes(place / "old.jsonl.parser.json", R"({"parser": "vicha concepts parse", "version": 1})");
  write_bytes(place / "new.json", R"([{"image": "a.jpg", "caption": "A dog &amp; a cat."}])");
  const CountOptions options{.threads = 1, .scene_graphs = {.links = LinkUse::kNever}};
  const std::vector<fs::path> old = {place / "old.jsonl"}, both = {place / "old.jsonl", place / "new.json"};
  std::string logged;
  log::set_sink([&](log::Level, std::string_view line) { logged += line; });
  EXPECT_EQ(listing(count_concepts(old, options)), "amp 1|cat 1|dog 1");
  EXPECT_TRUE(contains(logged, "parsed by version 1")) << logged;
  const std::string message = message_of([&] { count_concepts(both, options); });
  log::set_sink({});
  EXPECT_TRUE(contains(message, "old.jsonl") && contains(message, "new.json") && contains(message, "version 1"))
      << message;
  EXPECT_EQ(listing(count_concepts(std::vector<fs::path>{place / "new.json"}, options)), "cat 1|dog 1");
}

TEST(CountConcepts, BadInputsAreNamed) {
  const Place place;
  const std::pair<const char*, const char*> cases[] = {
      {"", "is empty"},
      {" \n", "is empty"},
      {"A dog on a sofa.\nA cat.\n", "vicha concepts parse"},
      {"dog\ncat\n", "neither a manifest"},
      {R"([{"image": "a.jpg"}])", "record 0"},
      {"{\"objects\": [\"dog\"]}\n{\"objects\": [\"dog\"", "record 1"},
      {"{\"objects\": [\"dog\"]}\n{\"objects\": [3]}\n", "record 1: \"objects\""},
      {R"({"objects": [{"head": "dog"}]})", "\"objects\" is not a list of strings"},
      {R"({"objects": ["dog"], "attributes": [["dog"]]})", "\"attributes\" is not"},
      {R"({"objects": ["dog"], "relations": {"dog": "on"}})", "\"relations\" is not"},
      {R"({"caption": "A dog."})", "\"image\""},
      {"dog\t3\ncat\t2\ndog\t1\n", "line 3"},
  };
  for (const auto& [content, expected] : cases) {
    write_bytes(place / "input", content);
    const std::vector<fs::path> inputs = {place / "input"};
    const std::string message = message_of([&] { count_concepts(inputs, {}); });
    EXPECT_TRUE(contains(message, (place / "input").string()) && contains(message, expected)) << message;
  }
  EXPECT_THROW(count_concepts(std::vector<fs::path>{place / "none"}, {}), DataError);
  EXPECT_THROW(count_concepts(std::vector<fs::path>{place / ""}, {}), DataError);
}

TEST(CountConcepts, ListsFromFiles) {
  const Place place;
  write_bytes(place / "stop", "# not these\r\nDog\r\n\r\n  brown  cat\t\r\n");
  EXPECT_EQ(load_stop_list(place / "stop"), (std::set<std::string, std::less<>>{"brown cat", "dog"}));
  write_bytes(place / "merge", "# from\tto\nBike\tbicycle\r\nvelo\tbike\nsame\tsame\nvelo\tbike\n");
  EXPECT_EQ(load_merged_forms(place / "merge"),
            (std::map<std::string, std::string, std::less<>>{{"bike", "bicycle"}, {"velo", "bicycle"}}));
  const std::pair<const char*, const char*> bad[] = {
      {"bike bicycle\n", "line 1"},
      {"bike\t\n", "line 1"},
      {"a\tb\tc\n", "line 1"},
      {"bike\tbicycle\nbike\tvelo\n", "\"velo\" here and into \"bicycle\" in line 1"},
      {"a\tb\nb\tc\nc\tb\n", "in a circle"},
      {"a\tb\nb\ta\n", "in a circle"},
      {"a\t\xFF\n", "not UTF-8"},
  };
  for (const auto& [content, expected] : bad) {
    write_bytes(place / "merge", content);
    const std::string message = message_of([&] { load_merged_forms(place / "merge"); });
    EXPECT_TRUE(contains(message, expected)) << message;
  }
}

}  // namespace
}  // namespace vicha::count_test
