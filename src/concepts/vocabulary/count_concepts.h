// Counting what captions name: the vocabulary of a data set (method, section 6.1).
//
//   const ConceptVocabulary vocabulary = count_concepts({"coco.json", "sbu.jsonl"}, {.top = 10'000});
//
// A caption counts once for each concept it names: an object by its head noun ("dog"), an object with an attribute
// ("brown dog"), two objects and what holds between them ("dog on sofa").
//
// `min_count` N keeps concepts that were seen at least N times. The public tool counts from 0 and keeps what is above
// its threshold, so that its threshold T is min_count T + 2 here.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "concepts/vocabulary/concept_vocabulary.h"
#include "text/scene_graph/scene_graph.h"

namespace vicha {

struct CountOptions {
  bool objects = true, attributes = false, relations = false;
  std::int64_t top = 10'000;    ///< the most frequent are kept, equally frequent ones by their text; 0: all
  std::int64_t min_count = 1;   ///< seen at least so often
  std::int64_t min_length = 2;  ///< characters
  /// Words that name nothing: concepts that are such a word or have it as object, attribute or relation are left out.
  /// In concept_form.
  std::set<std::string, std::less<>> stop = {};
  bool default_stop = true;  ///< also those of default_stop_words(), which leave relations ("inside") alone
  /// Words (objects, attributes, relations, or whole concepts) that are counted as others.
  std::map<std::string, std::string, std::less<>> merged = {};
  /// Different concepts held at a time, about 120 bytes each. Beyond, the rarest are dropped (relations first), which
  /// is logged; counts may then be too low.
  std::int64_t max_entries = 4'000'000;
  int threads = 0;                      ///< that parse captions; 0: one a core
  SceneGraphOptions scene_graphs = {};  ///< how captions of manifests are parsed
};

/// Words that heads of captions often are and that name nothing to be seen: "picture", "view", "side", "other" …
std::span<const std::string_view> default_stop_words();
/// A word a line, '#' comments. Throws DataError naming file and line if one is not UTF-8.
std::set<std::string, std::less<>> load_stop_list(const std::filesystem::path& path);
/// "from, tab, to" a line, '#' comments. What something is merged into may be merged itself. Throws DataError naming
/// the lines: no tab, a word merged into two, a circle.
std::map<std::string, std::string, std::less<>> load_merged_forms(const std::filesystem::path& path);

struct CountReport {
  std::int64_t captions = 0;
  std::int64_t without_objects = 0;  ///< captions
  std::int64_t stopped = 0;          ///< times that a concept was left out for a stop word
  std::int64_t distinct = 0;         ///< concepts held, before `top` and `min_count`
  std::int64_t pruned = 0;           ///< concepts dropped to keep within max_entries
  std::int64_t undercount = 0;       ///< what a count may be too low by, at most
};

class ConceptCounter {
 public:
  explicit ConceptCounter(const CountOptions& options);

  /// The graph of one caption.
  void add(const SceneGraph& graph);
  /// What `add` would count of a caption, each once, by kind.
  std::vector<std::string> concepts_of(const SceneGraph& graph);
  /// Counts that were made before; stop words and merged forms apply to whole concepts.
  void add(const ConceptVocabulary& vocabulary);

  /// Most frequent first. Throws DataError if nothing is left, saying what left nothing.
  ConceptVocabulary vocabulary() const;
  CountReport report() const;

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Counts = std::unordered_map<std::string, std::int64_t, Hash, std::equal_to<>>;

  /// The word's merged form in concept_form.
  std::string form_of(std::string_view word) const;
  bool stops(std::string_view word, bool relation = false) const;
  /// Joins the forms, of which three are a relation's; "" if the concept is left out.
  std::string concept_of(std::span<const std::string> forms);
  void for_each_concept(const SceneGraph& graph, const std::function<void(ConceptKind, const std::string&)>& see);
  void count(ConceptKind kind, std::string_view text, std::int64_t times);
  void prune();
  std::int64_t entries() const;

  CountOptions options_;
  std::set<std::string_view> default_stop_;
  std::array<Counts, 3> counts_;  // by ConceptKind
  CountReport report_;
};

/// Calls `see` with each caption of a file of `vicha concepts parse` and what it was parsed to, in order. Throws
/// DataError naming file and record.
void for_each_parsed(const std::filesystem::path& file,
                     const std::function<void(const std::string& caption, const SceneGraph& graph)>& see);

/// Counts over manifests (JSON list or lines with `caption`), parsed captions (JSON lines of `vicha concepts parse`)
/// and vocabularies with counts, told apart by their content. Memory is bounded by max_entries. Throws DataError naming
/// the file, record or line where an input is none of these or is damaged, and where two were parsed by different
/// versions of the parser (concepts/parse).
ConceptVocabulary count_concepts(std::span<const std::filesystem::path> inputs, const CountOptions& options,
                                 CountReport* report = nullptr);

}  // namespace vicha
