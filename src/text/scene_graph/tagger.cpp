#include "text/scene_graph/tagger.h"

#include "text/scene_graph/lemma.h"

namespace vicha::text_detail {
namespace {

// What leaves a noun open: the next open-class word is part of its phrase.
bool opens_noun(Tag tag) {
  return tag == Tag::kDeterminer || tag == Tag::kNumber || tag == Tag::kAdjective || tag == Tag::kGenitive;
}

bool ends_phrase(Tag tag) {
  return tag == Tag::kComma || tag == Tag::kConjunction || tag == Tag::kRelative || tag == Tag::kSubordinator ||
         tag == Tag::kForeign;
}

class Tagger {
 public:
  Tagger(CaptionSentence& sentence, Lexicon& lexicon) : words_(sentence), lexicon_(lexicon) {}

  void run() {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (words_[i].tag == Tag::kUnknown) words_[i].tag = choose(i);
      note_clause(i);
    }
  }

 private:
  bool has(std::size_t i) const { return i < words_.size(); }
  Tag tag(std::size_t i) const { return has(i) ? words_[i].tag : Tag::kComma; }
  const std::string& text(std::size_t i) const { return words_[i].text; }
  unsigned can(std::size_t i) const { return has(i) && tag(i) == Tag::kUnknown ? lexicon_.classes(text(i)) : 0u; }

  // The word before, skipping adverbs.
  Tag before(std::size_t i) const {
    while (i > 0 && words_[i - 1].tag == Tag::kAdverb) --i;
    return i > 0 ? words_[i - 1].tag : Tag::kComma;
  }

  // Whether the word may go on with or end a noun phrase that is open before it.
  bool may_be_nominal(std::size_t i, int depth = 0) const {
    if (!has(i) || depth > 3) return false;
    if (tag(i) != Tag::kUnknown) return tag(i) == Tag::kNoun || tag(i) == Tag::kAdjective;
    const unsigned c = can(i);
    if ((c & kCanIng) && (c & kCanVerb) && !is(text(i), WordKind::kIngNoun)) return may_be_nominal(i + 1, depth + 1);
    return (c & (kCanNoun | kCanAdjective)) != 0 || ((c & (kCanIng | kCanPast)) && may_be_nominal(i + 1, depth + 1));
  }
  bool is_noun_only(std::size_t i) const {
    const unsigned c = can(i);
    return (c & kCanNoun) && !(c & kCanVerb);
  }

  // Whether a subject may stand in front of a finite verb here: no finite verb in this clause yet.
  void note_clause(std::size_t i) {
    const Tag t = tag(i);
    if (t == Tag::kFinite || t == Tag::kBe) {
      finite_seen_ = true;
    } else if (t == Tag::kRelative || t == Tag::kSubordinator) {
      finite_seen_ = false;
      subordinate_ = true;
    } else if (t == Tag::kConjunction || t == Tag::kComma) {
      finite_seen_ = false;
      plural_subject_ = t == Tag::kConjunction;
    } else if (t == Tag::kPreposition) {
      preposition_seen_ = true;
      if (text(i) == "as" && finite_seen_) {
        finite_seen_ = false;
        subordinate_ = true;
      }
    }
  }

  // "dogs run", "a dog runs", "a boy and a girl run": the form fits the noun before it.
  bool agrees(std::size_t i) const {
    const std::string& verb = text(i);
    const bool third = verb.ends_with("s") && !verb.ends_with("ss");
    std::size_t noun = i;
    while (noun > 0 && words_[noun - 1].tag == Tag::kAdverb) --noun;
    if (noun == 0) return false;
    const std::string& subject = words_[noun - 1].text;
    const bool plural = noun_lemma(subject, [&](std::string_view w) { return lexicon_.known_noun(w); }) != subject;
    const bool either = subject == "sheep" || subject == "fish" || subject == "deer";
    // With a prepositional phrase between them the noun before the verb is not its subject: either form fits.
    return third ? !plural || either || preposition_seen_ : plural || either || plural_subject_ || preposition_seen_;
  }

  Tag choose_ing(std::size_t i) {
    const Tag previous = before(i);
    const Tag next = tag(i + 1);
    if (is(text(i), WordKind::kIngNoun)) {
      const bool object_follows = next == Tag::kDeterminer || next == Tag::kPronoun;
      return previous == Tag::kBe || (previous == Tag::kNoun && object_follows) ? Tag::kIng : Tag::kNoun;
    }
    if (is_gerund_modifier(i)) return Tag::kNoun;
    if (opens_noun(previous)) return may_be_nominal(i + 1) ? Tag::kAdjective : Tag::kNoun;
    if (previous == Tag::kPreposition && is_noun_only(i + 1)) return Tag::kAdjective;  // "in swimming trunks"
    const bool at_start =
        i == 0 || (previous == Tag::kConjunction && i >= 2 && tag(i - 2) == Tag::kNoun && !verb_seen_before(i));
    // "Smiling woman holding a cup" against "Riding horses on a beach": a singular noun takes the word as its own.
    if (at_start && is_noun_only(i + 1) && noun_lemma(text(i + 1)) == text(i + 1)) return Tag::kAdjective;
    return Tag::kIng;
  }

  // "a swimming pool"
  bool is_gerund_modifier(std::size_t i) const {
    const Tag previous = before(i);
    return is(text(i), WordKind::kGerundModifier) && (can(i + 1) & kCanNoun) && previous != Tag::kBe &&
           previous != Tag::kNoun && (opens_noun(previous) || !verb_seen_before(i));
  }

  Tag choose_past(std::size_t i) {
    const Tag previous = before(i);
    const bool phrase_starts = opens_noun(previous) || previous == Tag::kPreposition || previous == Tag::kComma ||
                               (previous == Tag::kConjunction && i >= 2 && tag(i - 2) == Tag::kAdjective);
    if (phrase_starts && may_be_nominal(i + 1)) return Tag::kAdjective;
    if (previous == Tag::kBe || previous == Tag::kAuxiliary) return Tag::kPast;
    if (is(text(i), WordKind::kPastTense) && !is(text(i), WordKind::kParticiple)) return Tag::kFinite;
    const Tag next = tag(i + 1);
    const bool object_follows =
        next == Tag::kDeterminer || next == Tag::kNumber || (next == Tag::kPronoun && text(i + 1) != "himself");
    return object_follows ? Tag::kFinite : Tag::kPast;
  }

  // A word that may be a noun or a verb, behind a noun.
  bool is_verb_behind_noun(std::size_t i) {
    const unsigned c = can(i);
    if (!agrees(i)) return false;
    if (!(c & kCanNoun)) return true;
    if (finite_seen_) return false;
    const std::string base = verb_base(text(i));
    if (!is(base, WordKind::kCaptionVerb)) return false;
    const Tag next = tag(i + 1);
    if (is(base, WordKind::kMostlyNoun)) {
      return next == Tag::kDeterminer || next == Tag::kPronoun || next == Tag::kNumber;
    }
    if (!has(i + 1)) return subordinate_ || is_animate(noun_lemma(text(i - 1)));  // "Tom's dog runs"
    if (next == Tag::kUnknown) {
      const unsigned n = can(i + 1);
      if ((n & kCanNoun) && is_animate(noun_lemma(text(i - 1)))) return true;  // "an elephant sprays water"
      return (n & (kCanIng | kCanAdverb | kCanAdjective)) || ((n & kCanNoun) && !(n & kCanVerb));
    }
    return !ends_phrase(next) && next != Tag::kBe && next != Tag::kAuxiliary;
  }

  Tag choose(std::size_t i) {
    const unsigned c = can(i);
    const Tag previous = before(i);
    if (previous == Tag::kTo || (previous == Tag::kAuxiliary && (c & kCanVerb) && !(c & kCanPast))) {
      return Tag::kInfinitive;
    }
    if ((c & kCanIng) && text(i).ends_with("ing")) return choose_ing(i);
    const bool past = (c & kCanPast) && !(opens_noun(previous) && (c & kCanNoun) && !may_be_nominal(i + 1));
    if (past) return choose_past(i);
    if ((c & kCanVerb) && (previous == Tag::kPronoun || previous == Tag::kRelative)) return Tag::kFinite;
    if ((c & kCanVerb) && !opens_noun(previous) && previous != Tag::kPreposition && previous != Tag::kBe) {
      if (previous == Tag::kNoun && is_verb_behind_noun(i)) return Tag::kFinite;
      // "sits and eats a sandwich"
      if (previous == Tag::kConjunction && verb_seen_before(i) && tag(i + 1) != Tag::kUnknown && has(i + 1) &&
          !ends_phrase(tag(i + 1)) && is(verb_base(text(i)), WordKind::kCaptionVerb)) {
        return Tag::kFinite;
      }
      if (!(c & (kCanNoun | kCanAdjective | kCanAdverb))) return Tag::kFinite;
    }
    // "a girl in pink jumps over …"
    if (previous == Tag::kPreposition && is(text(i), WordKind::kColour) && (can(i + 1) & kCanVerb) &&
        text(i + 1).ends_with("s") && is(verb_base(text(i + 1)), WordKind::kCaptionVerb)) {
      return Tag::kNoun;
    }
    if ((c & kCanAdjective) && (may_be_nominal(i + 1) || !(c & kCanNoun))) return Tag::kAdjective;
    if ((c & kCanAdjective) && (previous == Tag::kBe || is(text(i), WordKind::kColour))) return Tag::kAdjective;
    if (c & kCanNoun) return Tag::kNoun;
    return (c & kCanAdverb) ? Tag::kAdverb : Tag::kNoun;
  }

  bool verb_seen_before(std::size_t i) const {
    for (std::size_t k = i; k-- > (i > 40 ? i - 40 : 0);) {
      if (tag(k) == Tag::kFinite || tag(k) == Tag::kInfinitive || tag(k) == Tag::kIng) return true;
    }
    return false;
  }

  CaptionSentence& words_;
  Lexicon& lexicon_;
  bool finite_seen_ = false, subordinate_ = false, plural_subject_ = false, preposition_seen_ = false;
};

// "as people watch" against "dressed as a sailor": a clause follows, and no participle that takes "as" stands before.
bool starts_clause(const CaptionSentence& sentence, std::size_t as) {
  if (as > 0 && (sentence[as - 1].tag == Tag::kPast || sentence[as - 1].tag == Tag::kIng)) return false;
  std::size_t i = as + 1;
  while (i < sentence.size() && i < as + 8 &&
         (opens_noun(sentence[i].tag) || sentence[i].tag == Tag::kNoun || sentence[i].tag == Tag::kPronoun)) {
    ++i;
  }
  if (i == as + 1 || i >= sentence.size()) return false;
  return sentence[i].tag == Tag::kFinite || sentence[i].tag == Tag::kBe || sentence[i].tag == Tag::kAuxiliary;
}

bool starts_noun_phrase(Tag tag) {
  return tag == Tag::kNoun || tag == Tag::kAdjective || tag == Tag::kNumber || tag == Tag::kDeterminer;
}

}  // namespace

void settle_closed_words(CaptionSentence& sentence, Lexicon& lexicon) {
  const std::size_t size = sentence.size();
  for (std::size_t i = 0; i < size; ++i) {
    CaptionWord& word = sentence[i];
    const Tag previous = i > 0 ? sentence[i - 1].tag : Tag::kComma;
    std::size_t after = i + 1;
    while (after < size && sentence[after].tag == Tag::kAdverb) ++after;
    const Tag next = after < size ? sentence[after].tag : Tag::kComma;
    if (word.text == "can" && (opens_noun(previous) || previous == Tag::kNoun) && next != Tag::kInfinitive &&
        next != Tag::kBe) {
      word.tag = Tag::kNoun;
    } else if (word.tag == Tag::kAuxiliary &&
               (verb_base(word.text) == "have" || word.text.starts_with("do") || word.text.starts_with("did"))) {
      const bool helps = next == Tag::kPast || next == Tag::kBe || next == Tag::kInfinitive;
      if (!helps && !word.text.ends_with("n't")) word.tag = word.text == "having" ? Tag::kIng : Tag::kFinite;
      if (!helps && word.text == "have" && previous == Tag::kTo) word.tag = Tag::kInfinitive;
    } else if (word.text == "that" || word.text == "which" || word.text == "who") {
      const bool behind_noun =
          previous == Tag::kNoun || previous == Tag::kComma || previous == Tag::kPronoun || previous == Tag::kNumber;
      if (word.text == "that" && (i == 0 || !behind_noun)) word.tag = Tag::kDeterminer;
    } else if ((word.text == "as" || word.text == "after" || word.text == "before") && starts_clause(sentence, i)) {
      word.tag = Tag::kSubordinator;
    } else if (word.text == "her" && !starts_noun_phrase(next)) {
      word.tag = Tag::kPronoun;
    } else if ((word.tag == Tag::kAdverb || word.tag == Tag::kPreposition) && previous == Tag::kDeterminer &&
               word.text.find(' ') == std::string::npos) {
      // "the back of", "the near side", "his left"
      if (i + 1 < size && sentence[i + 1].tag == Tag::kNoun) {
        word.tag = Tag::kAdjective;
      } else if (lexicon.known_noun(word.text)) {
        word.tag = Tag::kNoun;
      }
    }
  }
}

void tag_by_rules(CaptionSentence& sentence, Lexicon& lexicon) {
  // "to" before what can only, or usually does, stand there as a verb.
  for (std::size_t i = 0; i + 1 < sentence.size(); ++i) {
    if (sentence[i].text != "to" || sentence[i].tag != Tag::kPreposition) continue;
    CaptionWord& next = sentence[i + 1];
    if (next.text == "be" || next.text == "have" || next.text == "do") {
      sentence[i].tag = Tag::kTo;
    } else if (next.tag == Tag::kUnknown) {
      const unsigned classes = lexicon.classes(next.text);
      const bool infinitive = (classes & kCanVerb) && !(classes & kCanPast) && verb_base(next.text) == next.text;
      if (infinitive && (!(classes & kCanNoun) || is(next.text, WordKind::kCaptionVerb))) sentence[i].tag = Tag::kTo;
    }
  }
  Tagger(sentence, lexicon).run();
  settle_closed_words(sentence, lexicon);
}

}  // namespace vicha::text_detail
