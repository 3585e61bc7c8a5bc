#include "text/scene_graph/clause_reader.h"

namespace vicha::text_detail {
namespace {

// Prepositions that stand for a relation without the verb before them.
bool stands_alone(std::string_view preposition) {
  if (is(preposition, WordKind::kStaticPlace)) return true;
  const auto space = preposition.find(' ');
  if (space == std::string_view::npos) return false;
  return !is(preposition.substr(0, space), WordKind::kMoving);
}

}  // namespace

void ClauseReader::verb(const CaptionWord& word) {
  const ClauseVerb previous = verb_;
  finish_verb();
  ClauseVerb next;
  next.active = true;
  next.text = word.text;
  next.base = verb_base(word.text);
  next.form = word.tag;
  if (word.tag == Tag::kFinite) {
    next.subjects = clause_subject();
  } else if (previous.active && (before_ == Before::kBe || before_ == Before::kVerb || word.tag == Tag::kInfinitive)) {
    next.subjects = previous.subjects;
    next.reduced = previous.reduced;
  } else if (before_ == Before::kNoun && preposition_.empty()) {
    next.subjects = reduced_subject(next, previous);
    next.reduced = true;
  } else if (before_ == Before::kConjunction && previous.active) {
    next.subjects = previous.subjects;
    next.reduced = previous.reduced;
  } else if (before_ == Before::kRelative) {
    next.subjects = last_;
  } else {
    next.subjects = subject_;
    next.reduced = true;
  }
  preposition_.clear();
  verb_ = std::move(next);
  clause_has_verb_ = true;
  clause_has_finite_ = clause_has_finite_ || verb_.form == Tag::kFinite;
  before_ = Before::kVerb;
  idiom_before_ = false;
}

void ClauseReader::be() {
  finish_verb();
  const bool existential = at_ > 0 && words_[at_ - 1].text == "there";
  ClauseVerb next;
  next.active = !existential;
  next.subjects = before_ == Before::kVerb || before_ == Before::kBe ? verb_.subjects : clause_subject();
  next.silent = true;
  verb_ = std::move(next);
  clause_has_verb_ = clause_has_finite_ = !existential;
  before_ = existential ? Before::kSubordinator : Before::kBe;
}

Group ClauseReader::clause_subject() {
  if (before_ == Before::kRelative) {
    outer_.push_back(subject_);
    subject_ = antecedent();
    relative_verb_seen_ = true;
  } else if (!outer_.empty() && before_ != Before::kConjunction && relative_verb_seen_) {
    subject_ = std::move(outer_.back());
    outer_.pop_back();
  } else if (!outer_.empty()) {
    relative_verb_seen_ = true;
  }
  return subject_;
}

Group ClauseReader::antecedent() const {
  if (last_.empty() || words_[at_ - 1].text != "who") return last_;
  for (std::size_t noun = last_.back(), hops = 0; noun != kNone && hops < 4; noun = nouns_[noun].parent, ++hops) {
    if (nouns_[noun].animate()) return group_of(noun);
  }
  return last_;
}

Group ClauseReader::group_of(std::size_t noun) const {
  if (contains(last_, noun)) return last_;
  if (contains(subject_, noun)) return subject_;
  if (contains(verb_.subjects, noun)) return verb_.subjects;
  return {noun};
}

Group ClauseReader::reduced_subject(const ClauseVerb& verb, const ClauseVerb& previous) const {
  if (last_.empty()) return subject_;
  const std::size_t nearest = last_.back();
  const ClauseNoun& noun = nouns_[nearest];
  if (noun.parent == kNone) return last_;
  const bool carries = is(verb.base, WordKind::kPossession) && verb.form == Tag::kIng;
  if (noun.animate() && !(carries && is(noun.lemma, WordKind::kAnimal))) return last_;
  // "left a bicycle leaning", "watches a train passing": what is seen or left does something itself.
  if (noun.role == NounRole::kObject && is(previous.base, WordKind::kSeeing)) return last_;
  std::size_t ancestor = noun.parent;
  for (int hops = 0; hops < 4 && ancestor != kNone; ++hops) {
    const bool fits =
        carries && noun.animate() ? is(nouns_[ancestor].lemma, WordKind::kPerson) : nouns_[ancestor].animate();
    if (fits && (verb.form == Tag::kIng || is(verb.base, WordKind::kOfBeings))) return group_of(ancestor);
    ancestor = nouns_[ancestor].parent;
  }
  if (noun.animate() || noun.role == NounRole::kObject || (noun.preposition == "with" && !noun.by_verb)) return last_;
  if (noun.preposition == "of") {
    return is(nouns_[noun.parent].lemma, WordKind::kImage) ? last_ : group_of(noun.parent);
  }
  return verb.form == Tag::kIng ? group_of(noun.parent) : last_;
}

void ClauseReader::finish_verb() {
  if (!verb_.active) return;
  verb_.active = false;
  if (!gap_.empty() && !verb_.has_object && !verb_.text.empty()) {
    for (const std::size_t noun : gap_) relate(verb_.subjects, verb_.text, noun);
    gap_.clear();
  }
  const bool participle = verb_.form == Tag::kIng || verb_.form == Tag::kPast;
  if (!participle || verb_.has_object || verb_.joined || verb_.silent) return;
  for (const std::size_t noun : verb_.subjects) {
    if (!nouns_[noun].lemma.empty()) graph_.attributes.push_back({nouns_[noun].lemma, verb_.text});
  }
}

void ClauseReader::preposition(const std::string& text) {
  if (noun_follows()) {
    preposition_ = text;
  } else if (tag(at_ + 1) == Tag::kPreposition) {
    // "looking up at", "out from under": the verb takes the first one.
    if (before_ == Before::kVerb) verb_.text += " " + text;
  } else if (before_ == Before::kVerb && is(text, WordKind::kObjectParticle)) {
    verb_.text += " " + text;
  } else if (tag(at_ + 1) == Tag::kIng) {
    preposition_ = text;  // dropped by the verb
  }
}

void ClauseReader::attach(std::size_t noun) {
  const std::string preposition = std::exchange(preposition_, {});
  nouns_[noun].role = NounRole::kPlace;
  nouns_[noun].preposition = preposition;
  const bool alone = stands_alone(preposition) || idiom_before_;
  if (preposition == "by" && verb_.active && verb_.form == Tag::kPast && nouns_[noun].animate() &&
      !is(verb_.base, WordKind::kNoDoer)) {
    for (const std::size_t subject : verb_.subjects) emit(noun, verb_.text, subject);
    nouns_[noun].parent = verb_.subjects.empty() ? kNone : verb_.subjects.front();
    verb_.joined = true;
  } else if (before_ == Before::kVerb && !verb_.text.empty()) {
    relate(verb_.subjects, alone ? preposition : verb_.text + " " + preposition, noun);
    nouns_[noun].by_verb = true;
    const bool state = verb_.form == Tag::kPast && verb_.reduced && (preposition == "in" || preposition == "with");
    verb_.joined = verb_.joined || (!alone && !state);
  } else if (before_ == Before::kAdjective) {
    relate(described_, preposition == "of" ? adjective_ + " of" : preposition, noun);  // "full of", but "blue with"
  } else if (before_ == Before::kNoun) {
    relate(preposition == "of" ? Group{last_.back()} : target(preposition, noun), preposition, noun);
  } else if (before_ == Before::kBe) {
    relate(verb_.subjects, preposition, noun);
  } else if (!subject_.empty()) {
    relate(verb_.active ? verb_.subjects : subject_, preposition, noun);
  } else if (fronted_.size() < kLargestGroup) {
    fronted_.emplace_back(preposition, noun);  // "On the table is a cup"
  }
  last_ = {noun};
}

Group ClauseReader::target(std::string_view preposition, std::size_t place) const {
  // Out of "of" phrases: "a plate of pasta on …" is about the plate, "a photo of a station in …" about the station.
  std::size_t base = last_.back();
  for (int hops = 0; hops < 4 && nouns_[base].preposition == "of" && nouns_[base].role == NounRole::kPlace; ++hops) {
    const std::size_t head = nouns_[base].parent;
    if (head == kNone || is(nouns_[head].lemma, WordKind::kImage)) break;
    base = head;
  }
  const ClauseNoun& noun = nouns_[base];
  if (base == last_.back() && last_.size() > 1 && !verb_.active) {
    // "a man in blue and a woman in red": each has its own.
    const bool own =
        std::any_of(last_.begin(), last_.end() - 1, [&](std::size_t other) { return nouns_[other].placed; });
    if (own || (preposition == "with" && !noun.animate())) return {base};
  }
  if (noun.role == NounRole::kObject && verb_.active && verb_.has_object) {
    return belongs_to_object(preposition, place) ? Group{base} : verb_.subjects;
  }
  if (noun.role != NounRole::kPlace || noun.parent == kNone) return group_of(base);
  if (noun.preposition == "of" || is(preposition, WordKind::kOfTheNearest)) return {base};
  if (noun.preposition == "with" && preposition != "with") {
    // "with a flag on its roof", "with its head on a pillow" against "with umbrellas in the rain"
    if (noun.owned || nouns_[place].owned || (preposition == "on" && !verb_.active)) return {base};
  }
  if (nouns_[noun.parent].role == NounRole::kObject && verb_.active && verb_.has_object) return verb_.subjects;
  if (preposition == "with" && !nouns_[place].animate() && !nouns_[place].owned) return {base};
  return group_of(noun.parent);
}

bool ClauseReader::belongs_to_object(std::string_view preposition, std::size_t place) const {
  const bool possession = is(verb_.base, WordKind::kPossession);
  if (is(preposition, WordKind::kAwayFrom) || is(preposition, WordKind::kOfTheNearest)) return true;
  if (is(preposition, WordKind::kAlong)) return false;
  if (preposition == "with") return possession;
  if (is(verb_.base, WordKind::kMovesObject)) return true;
  return possession && (is(nouns_[place].lemma, WordKind::kBodyPart) || verb_.base == "have" ||
                        verb_.base == "contain" || verb_.base == "show" || verb_.base == "feature");
}

}  // namespace vicha::text_detail
