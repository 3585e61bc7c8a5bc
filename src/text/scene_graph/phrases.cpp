#include "text/scene_graph/phrases.h"

#include <algorithm>

#include "text/scene_graph/lemma.h"

namespace vicha::text_detail {
namespace {

constexpr std::size_t kLongestPhrase = 40;  // words; what is longer is no caption, and reading stays linear

class PhraseReader {
 public:
  PhraseReader(const CaptionSentence& words, std::size_t at, Lexicon& lexicon)
      : words_(words), at_(at), lexicon_(lexicon) {}

  NounPhrase read() {
    phrase_.end = at_;
    const std::size_t limit = std::min(words_.size(), at_ + kLongestPhrase);
    while (!done_ && at_ < limit) step();
    if (!phrase_.found() && !collective_.empty()) {
      phrase_.head = collective_;
      phrase_.attributes.clear();
      at_ = behind_collective_;
    }
    if (phrase_.found()) {
      phrase_.end = at_;
      if (!phrase_.pronoun) finish_attributes();
    }
    return std::move(phrase_);
  }

 private:
  Tag tag(std::size_t i) const { return i < words_.size() ? words_[i].tag : Tag::kComma; }
  std::string lemma(const std::string& noun) const {
    return noun_lemma(noun, [this](std::string_view word) { return lexicon_.known_noun(word); });
  }

  void step() {
    const CaptionWord& word = words_[at_];
    switch (word.tag) {
      case Tag::kDeterminer:
        if (!modifiers_.empty()) return stop();
        phrase_.determined = true;
        phrase_.owned = word.text == "his" || word.text == "her" || word.text == "its" || word.text == "their";
        return advance();
      case Tag::kNumber:
        // "one of the dogs", "several of them"
        if (tag(at_ + 1) == Tag::kPreposition && words_[at_ + 1].text == "of") {
          phrase_.attributes.push_back(word.text);
          at_ += 2;
          return;
        }
        phrase_.determined = true;
        phrase_.attributes.push_back(word.text);
        return advance();
      case Tag::kAdjective:
        return adjective(word.text);
      case Tag::kAdverb:
        // "a very large dog", "brightly colored kites"; behind a noun it ends the phrase.
        if (tag(at_ + 1) == Tag::kAdjective || tag(at_ + 1) == Tag::kAdverb || tag(at_ + 1) == Tag::kNumber) {
          return advance();
        }
        return stop();
      case Tag::kComma:
      case Tag::kConjunction:
        return between_adjectives();
      case Tag::kNoun:
        return noun(word.text);
      case Tag::kPronoun:
        if (phrase_.attributes.empty() && !phrase_.determined) {
          phrase_.pronoun = true;
          if (is(word.text, WordKind::kPersonPronoun)) phrase_.head = word.text;
          ++at_;
        }
        return stop();
      default:
        return stop();
    }
  }

  // Whether a noun phrase may start there.
  bool goes_on_at(std::size_t i) const {
    const Tag t = tag(i);
    return t == Tag::kNoun || t == Tag::kAdjective || t == Tag::kDeterminer || t == Tag::kNumber;
  }

  void stop() { done_ = true; }
  void advance() {
    ++at_;
    if (!phrase_.found()) phrase_.end = at_;
  }

  void adjective(const std::string& text) {
    // "dark blue", "light brown", "stainless steel" are one.
    std::string& last = phrase_.attributes.empty() ? spare_ : phrase_.attributes.back();
    const bool behind_last = at_ > 0 && !phrase_.attributes.empty() && words_[at_ - 1].text == last;
    if (behind_last && is(text, WordKind::kColour) && is(last, WordKind::kShade)) {
      last += " " + text;
    } else {
      phrase_.attributes.push_back(text);
    }
    advance();
  }

  // "black and white", "tall, dry": goes on if adjectives stand on both sides and a noun or the end comes.
  void between_adjectives() {
    if (at_ == 0 || tag(at_ - 1) != Tag::kAdjective) return stop();
    std::size_t next = at_ + 1;
    if (tag(at_) == Tag::kComma && tag(next) == Tag::kConjunction) ++next;
    while (tag(next) == Tag::kAdverb) ++next;
    if (tag(next) != Tag::kAdjective || next >= words_.size()) return stop();
    at_ = next;
  }

  void noun(const std::string& text) {
    if (tag(at_ + 1) == Tag::kGenitive) {
      phrase_.owners.push_back(lemma(text));
      phrase_.attributes.clear();
      modifiers_.clear();
      phrase_.determined = true;
      at_ += 2;
      phrase_.end = at_;
      return;
    }
    if (tag(at_ + 1) == Tag::kNoun) {
      modifiers_.push_back(text);
      return advance();
    }
    std::string head = lemma(text);
    if (!names_a_thing(head) && !modifiers_.empty()) {  // "the letter K"
      head = lemma(modifiers_.back());
      modifiers_.pop_back();
    }
    const bool of_follows = tag(at_ + 1) == Tag::kPreposition && words_[at_ + 1].text == "of";
    if (of_follows && is(head, WordKind::kCollective) && goes_on_at(at_ + 2)) {
      collective_ = std::move(head);
      behind_collective_ = at_ + 1;
      phrase_.attributes.clear();
      modifiers_.clear();
      phrase_.determined = true;
      at_ += 2;
      return;
    }
    // "two glasses of wine" are of glass, "a man with glasses" has none of his own.
    if (text == "glasses" && (of_follows || (!phrase_.attributes.empty() && tag(at_ - 1) == Tag::kNumber)))
      head = "glass";
    one_ = head == text;
    phrase_.head = std::move(head);
    ++at_;
    stop();
  }

  void finish_attributes() {
    auto& attributes = phrase_.attributes;
    // A colour alone is no object: "dressed in white".
    if (is(phrase_.head, WordKind::kColour) && one_ && !phrase_.determined && attributes.empty() &&
        modifiers_.empty()) {
      phrase_.head.clear();
      phrase_.pronoun = true;
      return;
    }
    for (const std::string& modifier : modifiers_) {
      if (!attributes.empty() && (attributes.back() == "stainless" || attributes.back() == "wrought") &&
          is(modifier, WordKind::kMaterial)) {
        attributes.back() += " " + modifier;
      } else if (modifier == "decker" && !attributes.empty()) {
        attributes.back() += "-decker";  // as it is mostly written
      } else if (is(modifier, WordKind::kMaterial) || is(modifier, WordKind::kColour)) {
        attributes.push_back(modifier);
      } else if ((modifier == "baby" || modifier == "toy") && is(phrase_.head, WordKind::kAnimal)) {
        attributes.push_back(modifier);
      }
    }
    if (is(phrase_.head, WordKind::kImage)) {
      for (std::size_t i = 0; i + 1 < attributes.size(); ++i) {
        if (attributes[i] == "black" && attributes[i + 1] == "white") {
          attributes[i] = "black and white";
          attributes.erase(attributes.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
      }
    }
  }

  const CaptionSentence& words_;
  std::size_t at_;
  Lexicon& lexicon_;
  NounPhrase phrase_;
  std::vector<std::string> modifiers_;  // nouns before the head
  std::string spare_;
  std::string collective_;  // skipped for what follows "of"
  std::size_t behind_collective_ = 0;
  bool one_ = false;  // the head stands in the singular
  bool done_ = false;
};

}  // namespace

bool names_a_thing(std::string_view lemma) {
  if (lemma.empty() || (lemma.front() >= '0' && lemma.front() <= '9')) return false;
  return std::ranges::count_if(lemma, [](char c) { return (c & 0xC0) != 0x80; }) > 1;  // characters of UTF-8
}

NounPhrase read_noun_phrase(const CaptionSentence& sentence, std::size_t at, Lexicon& lexicon) {
  return PhraseReader(sentence, at, lexicon).read();
}

}  // namespace vicha::text_detail
