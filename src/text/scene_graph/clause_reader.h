// The state and the steps of read_clauses. Used by scene_graph_clauses.cpp (flow, nouns, lists) and
// scene_graph_verbs.cpp (verbs, prepositions) only.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/scene_graph/phrases.h"
#include "text/scene_graph/scene_graph.h"

namespace vicha::text_detail {

using Group = std::vector<std::size_t>;  // numbers of nouns that share a place: "a boy and a girl"

inline constexpr std::size_t kNone = static_cast<std::size_t>(-1);
inline constexpr std::size_t kLookAhead = 12;    // words
inline constexpr std::size_t kLargestGroup = 8;  // members that a relation is repeated for

enum class NounRole { kSubject, kObject, kPlace };  // kPlace: behind a preposition

struct ClauseNoun {
  std::string lemma;  // empty: a pronoun
  bool determined = false, owned = false;
  bool placed = false;   // a preposition other than "of" says where it is or what it has
  bool by_verb = false;  // a verb has the preposition: "filled with flowers"
  NounRole role = NounRole::kSubject;
  std::size_t parent = kNone;  // the noun that a preposition or a verb ties it to
  std::string preposition;
  std::vector<std::pair<Group, std::string>> as_object;  // the relations that end here

  bool animate() const { return is_animate(lemma); }
};

inline bool contains(const Group& group, std::size_t noun) {
  return std::find(group.begin(), group.end(), noun) != group.end();
}

// What stands directly before the word that is read (adverbs aside).
enum class Before { kNothing, kNoun, kVerb, kBe, kAdjective, kComma, kConjunction, kRelative, kSubordinator };

struct ClauseVerb {
  bool active = false;
  std::string text;
  std::string base;
  Tag form = Tag::kFinite;
  Group subjects;
  bool reduced = false;  // "a dog riding …", no form of be
  bool has_object = false, joined = false, silent = false;
};

class ClauseReader {
 public:
  ClauseReader(const CaptionSentence& words, Lexicon& lexicon, SceneGraph& graph)
      : words_(words), lexicon_(lexicon), graph_(graph) {}
  void read();

 private:
  Tag tag(std::size_t i) const { return i < words_.size() ? words_[i].tag : Tag::kComma; }
  // "There is", "This is", "Here are": what they introduce is what counts; its first word.
  std::size_t opening() const;
  void step();

  void phrase();
  std::size_t add_noun(const NounPhrase& phrase);
  void noun(const NounPhrase& phrase, std::size_t end);
  void new_subject(std::size_t noun);
  void object(std::size_t noun);
  void relate(const Group& subjects, const std::string& label, std::size_t noun);
  void emit(std::size_t subject, const std::string& label, std::size_t object);
  // "yellow and blue" behind a form of be, "full" behind a noun.
  void predicate(const std::vector<std::string>& attributes);
  // What follows a noun phrase and its "of" phrases.
  Tag tag_behind(std::size_t end) const;
  // "a stove, a sink and a refrigerator": a conjunction closes the list before any verb.
  bool list_goes_on(std::size_t end) const;
  // Gives the noun the place of one before the conjunction or comma; false if it starts something new.
  bool join(std::size_t noun, std::size_t end);
  // Whether the verb that follows has a form for several subjects.
  bool is_plural_verb(std::size_t end) const;
  // "a bowl of apples and oranges" against "a slice of pizza and a drink"; "a man in a hat and a woman".
  std::size_t level_of_list(std::size_t level, std::size_t noun) const;

  void verb(const CaptionWord& word);
  void be();
  // Of a finite verb: what the relative pronoun stands for, or the subject of the clause around a finished one.
  Group clause_subject();
  Group antecedent() const;
  // All that share the place of a noun.
  Group group_of(std::size_t noun) const;
  // Of a participle behind a noun: that noun, or one that it belongs to ("a man in a suit holding a phone").
  Group reduced_subject(const ClauseVerb& verb, const ClauseVerb& previous) const;
  // A participle without an object says how its subject is: "a dog sleeping", "a truck parked in front of a barn".
  void finish_verb();

  // Whether a noun phrase starts behind the word.
  bool noun_follows() const { return read_noun_phrase(words_, at_ + 1, lexicon_).found(); }
  void preposition(const std::string& text);
  // Gives the noun behind a preposition its relation.
  void attach(std::size_t noun);
  // What a prepositional phrase behind a noun belongs to.
  Group target(std::string_view preposition, std::size_t place) const;
  bool belongs_to_object(std::string_view preposition, std::size_t place) const;

  const CaptionSentence& words_;
  Lexicon& lexicon_;
  SceneGraph& graph_;
  std::size_t at_ = 0;

  std::vector<ClauseNoun> nouns_;
  Group subject_;             // of the clause that is read
  std::vector<Group> outer_;  // of the clauses around it
  bool relative_verb_seen_ = false, clause_has_verb_ = false, clause_has_finite_ = false;
  Group last_;  // the last noun phrase
  Group gap_;   // what a relative clause with a subject of its own is about
  ClauseVerb verb_;
  std::string preposition_;  // waits for its noun
  std::string adjective_;    // the last predicate, and of what
  Group described_;
  std::vector<std::pair<std::string, std::size_t>> fronted_;  // places named before the subject
  bool fronted_used_ = false;
  Before before_ = Before::kNothing, before_comma_ = Before::kNothing, before_conjunction_ = Before::kNothing;
  bool idiom_before_ = false;  // "stand back to back in"
};

}  // namespace vicha::text_detail
