#include "text/scene_graph/clauses.h"

#include <algorithm>

#include "text/scene_graph/clause_reader.h"

namespace vicha::text_detail {

void ClauseReader::read() {
  at_ = opening();
  while (at_ < words_.size()) step();
  finish_verb();
}

std::size_t ClauseReader::opening() const {
  if (words_.size() < 3 || words_[1].tag != Tag::kBe) return 0;
  constexpr std::string_view kOpenings[] = {"there", "this", "these", "here", "it", "that", "those"};
  if (std::find(std::begin(kOpenings), std::end(kOpenings), words_[0].text) == std::end(kOpenings)) return 0;
  const Tag next = words_[2].tag;
  return next == Tag::kIng || next == Tag::kPast ? 0 : 2;
}

void ClauseReader::step() {
  const CaptionWord& word = words_[at_];
  switch (word.tag) {
    case Tag::kNoun:
    case Tag::kAdjective:
    case Tag::kNumber:
    case Tag::kDeterminer:
    case Tag::kPronoun:
      return phrase();
    case Tag::kFinite:
    case Tag::kIng:
    case Tag::kPast:
    case Tag::kInfinitive:
      verb(word);
      break;
    case Tag::kBe:
    case Tag::kAuxiliary:
      be();
      break;
    case Tag::kPreposition:
      preposition(word.text);
      break;
    case Tag::kConjunction:
      before_conjunction_ = before_ == Before::kComma ? before_comma_ : before_;
      before_ = Before::kConjunction;
      break;
    case Tag::kComma:
      before_comma_ = before_;
      before_ = Before::kComma;
      break;
    case Tag::kRelative:
      before_ = Before::kRelative;
      break;
    case Tag::kSubordinator:
      before_ = Before::kSubordinator;
      break;
    case Tag::kAdverb:
      if (words_[at_].text.find(' ') != std::string::npos) idiom_before_ = true;
      if (tag(at_ + 1) == Tag::kAdjective) return phrase();
      break;
    case Tag::kTo:
      verb_.silent = verb_.silent || is(verb_.base, WordKind::kHelper);
      break;
    case Tag::kForeign:
      before_ = Before::kComma;
      preposition_.clear();
      break;
    case Tag::kGenitive:
    case Tag::kHashtag:
    case Tag::kUnknown:
      break;
  }
  ++at_;
}

void ClauseReader::phrase() {
  NounPhrase phrase = read_noun_phrase(words_, at_, lexicon_);
  const std::size_t end = phrase.end;
  if (phrase.found()) {
    noun(phrase, end);
  } else {
    // Figures behind a noun tell nothing of it: "stock photo 300dpi".
    std::erase_if(phrase.attributes,
                  [](const std::string& text) { return text.front() >= '0' && text.front() <= '9'; });
    if (!phrase.attributes.empty()) predicate(phrase.attributes);
  }
  at_ = std::max(end, at_ + 1);
}

std::size_t ClauseReader::add_noun(const NounPhrase& phrase) {
  std::ranges::copy_if(phrase.owners, std::back_inserter(graph_.objects), names_a_thing);
  ClauseNoun noun;
  if (names_a_thing(phrase.head)) noun.lemma = phrase.head;
  noun.determined = phrase.determined;
  noun.owned = phrase.owned;
  if (!noun.lemma.empty()) {
    graph_.objects.push_back(noun.lemma);
    for (const std::string& attribute : phrase.attributes) graph_.attributes.push_back({noun.lemma, attribute});
  }
  nouns_.push_back(std::move(noun));
  return nouns_.size() - 1;
}

void ClauseReader::noun(const NounPhrase& phrase, std::size_t end) {
  const std::size_t noun = add_noun(phrase);
  const bool listed = before_ == Before::kConjunction || before_ == Before::kComma;
  if (!preposition_.empty()) {
    attach(noun);
  } else if (listed && join(noun, end)) {
    // has its place
  } else if (subject_.empty() && !fronted_.empty()) {
    new_subject(noun);  // "On the table is a cup"
  } else if (verb_.active && !verb_.has_object && (before_ == Before::kVerb || before_ == Before::kBe)) {
    object(noun);
  } else if (before_ == Before::kRelative) {
    gap_ = last_;  // "a bike that a man rides"
    outer_.push_back(subject_);
    subject_ = {noun};
    last_ = subject_;
    relative_verb_seen_ = false;
  } else {
    new_subject(noun);
  }
  before_ = Before::kNoun;
  idiom_before_ = false;
}

void ClauseReader::new_subject(std::size_t noun) {
  finish_verb();
  nouns_[noun].role = NounRole::kSubject;
  subject_ = last_ = {noun};
  clause_has_verb_ = clause_has_finite_ = false;
  if (std::exchange(fronted_used_, !fronted_.empty())) fronted_.clear();
  for (const auto& [preposition, place] : fronted_) relate(subject_, preposition, place);
}

void ClauseReader::object(std::size_t noun) {
  const std::string label = verb_.text.empty() ? "is" : verb_.text;
  nouns_[noun].role = NounRole::kObject;
  relate(verb_.subjects, label, noun);
  verb_.has_object = true;
  last_ = {noun};
}

void ClauseReader::relate(const Group& subjects, const std::string& label, std::size_t noun) {
  ClauseNoun& object = nouns_[noun];
  if (!subjects.empty()) object.parent = subjects.front();
  if (object.as_object.size() < kLargestGroup) object.as_object.emplace_back(subjects, label);
  for (std::size_t i = 0; i < std::min(subjects.size(), kLargestGroup); ++i) {
    emit(subjects[i], label, noun);
    if (object.role == NounRole::kPlace && label != "of") nouns_[subjects[i]].placed = true;
  }
}

void ClauseReader::emit(std::size_t subject, const std::string& label, std::size_t object) {
  const std::string& from = nouns_[subject].lemma;
  const std::string& to = nouns_[object].lemma;
  if (subject != object && !from.empty() && !to.empty()) graph_.relations.push_back({from, label, to});
}

void ClauseReader::predicate(const std::vector<std::string>& attributes) {
  if (at_ > 0 && tag(at_ - 1) == Tag::kPreposition) return;  // "dressed in white"
  Group targets = before_ == Before::kNoun ? last_ : verb_.active ? verb_.subjects : subject_;
  if (targets.size() > kLargestGroup) targets.resize(kLargestGroup);
  for (const std::size_t noun : targets) {
    if (nouns_[noun].lemma.empty()) continue;
    for (const std::string& attribute : attributes) graph_.attributes.push_back({nouns_[noun].lemma, attribute});
  }
  described_ = std::move(targets);
  adjective_ = attributes.back();
  before_ = Before::kAdjective;
}

Tag ClauseReader::tag_behind(std::size_t end) const {
  const std::size_t limit = std::min(end + kLookAhead, words_.size());
  while (end < limit && ((tag(end) == Tag::kPreposition && words_[end].text == "of") || tag(end) == Tag::kAdverb)) {
    const NounPhrase phrase = read_noun_phrase(words_, end + 1, lexicon_);
    if (tag(end) == Tag::kAdverb || !phrase.found()) {
      ++end;
    } else {
      end = phrase.end;
    }
  }
  return tag(end);
}

bool ClauseReader::list_goes_on(std::size_t end) const {
  const std::size_t limit = std::min(end + kLookAhead, words_.size());
  for (; end < limit; ++end) {
    const Tag t = tag(end);
    if (t == Tag::kConjunction) return true;
    if (t == Tag::kFinite || t == Tag::kBe || t == Tag::kIng || t == Tag::kPast || t == Tag::kRelative) return false;
  }
  return false;
}

bool ClauseReader::join(std::size_t noun, std::size_t end) {
  const bool comma = before_ == Before::kComma;
  const Before first = comma ? before_comma_ : before_conjunction_;
  if (last_.empty() || (first != Before::kNoun && first != Before::kAdjective)) return false;
  if (comma && !list_goes_on(end)) return false;
  const Tag behind = tag_behind(end);
  const bool verb_follows = behind == Tag::kFinite || behind == Tag::kBe || behind == Tag::kAuxiliary;
  const bool participle_follows = behind == Tag::kIng || behind == Tag::kPast;
  std::size_t level = level_of_list(last_.back(), noun);
  if (participle_follows && clause_has_verb_) return false;
  if (verb_follows && clause_has_verb_) {
    // "holding an umbrella and a purse walks" against "sits on a bench and a dog sleeps"
    if (clause_has_finite_ || (nouns_[noun].animate() && !nouns_[level].animate())) return false;
  } else if (verb_follows && !subject_.empty() && is_plural_verb(end)) {
    level = subject_.back();
  }
  ClauseNoun& joined = nouns_[noun];
  joined.role = nouns_[level].role;
  joined.parent = nouns_[level].parent;
  joined.preposition = nouns_[level].preposition;
  const auto relations = nouns_[level].as_object;
  for (const auto& [subjects, label] : relations) relate(subjects, label, noun);
  if (contains(subject_, level)) {
    if (subject_.size() < kLargestGroup) subject_.push_back(noun);
    for (const auto& [preposition, place] : fronted_) relate({noun}, preposition, place);
    last_ = subject_;
  } else if (level == last_.back()) {
    if (last_.size() < kLargestGroup) last_.push_back(noun);
  } else {
    last_ = {noun};
  }
  return true;
}

bool ClauseReader::is_plural_verb(std::size_t end) const {
  while (end < words_.size() && tag(end) != Tag::kFinite && tag(end) != Tag::kBe && tag(end) != Tag::kAuxiliary) ++end;
  return end < words_.size() && (words_[end].text == "were" || !words_[end].text.ends_with("s")) &&
         words_[end].text != "was";
}

std::size_t ClauseReader::level_of_list(std::size_t level, std::size_t noun) const {
  const ClauseNoun& last = nouns_[level];
  if (last.role != NounRole::kPlace || last.parent == kNone) return level;
  if (last.preposition == "of" && !last.determined && nouns_[noun].determined) return last.parent;
  std::size_t root = last.parent;
  for (int hops = 0; hops < 4 && nouns_[root].role == NounRole::kPlace && nouns_[root].parent != kNone; ++hops) {
    root = nouns_[root].parent;
  }
  return nouns_[noun].animate() && !last.animate() && nouns_[root].animate() ? root : level;
}

void read_clauses(const CaptionSentence& sentence, Lexicon& lexicon, SceneGraph& graph) {
  ClauseReader(sentence, lexicon, graph).read();
}

}  // namespace vicha::text_detail
