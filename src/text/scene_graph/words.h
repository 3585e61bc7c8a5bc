// Word lists of the scene graph parser (the *.txt and *.tsv here): the closed classes of English, and kinds of words
// that captions use in a way of their own. Used inside this room only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vicha::text_detail {

enum class Tag : std::uint8_t {
  kUnknown,
  kNoun,
  kAdjective,    ///< participles before a noun too
  kNumber,       ///< two, several, 12
  kDeterminer,   ///< the, some, his
  kGenitive,     ///< 's
  kFinite,       ///< rides, ate
  kIng,          ///< riding
  kPast,         ///< parked, worn: the participle
  kInfinitive,   ///< (to) ride
  kBe,           ///< is, were, being
  kAuxiliary,    ///< has (been), can, does (not)
  kPreposition,  ///< in, on top of
  kConjunction,  ///< and, or
  kAdverb,
  kPronoun,
  kRelative,      ///< who, which, that
  kSubordinator,  ///< while, when
  kTo,            ///< before an infinitive
  kComma,         ///< any mark that parts phrases
  kForeign,       ///< other scripts, junk
  kHashtag,       ///< "golden_gate", until its words stand in its place
};

/// The tag of a word that needs no context, kUnknown for open classes. Words that have several ("that", "her", "to")
/// get the more frequent one.
Tag closed_class(std::string_view word);

enum class WordKind : std::uint32_t {
  kCollective = 1 << 0,     ///< group, pair, herd: "a group of dogs" is about dogs
  kImage = 1 << 1,          ///< photo, view: what it is of takes part in relations
  kPerson = 1 << 2,         ///< woman, chef
  kAnimal = 1 << 3,         ///< dog, sheep
  kColour = 1 << 4,         ///< red
  kShade = 1 << 5,          ///< dark, bright: before a colour
  kMaterial = 1 << 6,       ///< nouns that describe the next one: "stone wall", "teddy bear"
  kPersonPronoun = 1 << 7,  ///< somebody: a pronoun that is an object
  kCaptionVerb = 1 << 8,    ///< infinitives that captions use as verbs where the dictionary has a noun as well: "ride"
  kParticiple = 1 << 9,     ///< irregular: worn, held
  kPastTense = 1 << 10,     ///< no participle: ate, rode
  kIngNoun = 1 << 11,       ///< building, clothing
  kStaticPlace = 1 << 12,   ///< prepositions that are the relation alone: "sits near", "lies beside"
  kMovesObject = 1 << 13,   ///< infinitives whose object moves or is placed: put, throw
  kPossession = 1 << 14,    ///< infinitives whose object carries what follows: wear, hold, have
  kHelper = 1 << 15,        ///< infinitives before another that say nothing of an image: try, prepare
  kIntensifier = 1 << 16,   ///< very, so
  kObjectParticle = 1 << 17,  ///< up, off, out: "picks up a ball"
  kMostlyNoun = 1 << 19,      ///< of kCaptionVerb, but a verb only before an object: "train", "slice"
  kGerundModifier = 1 << 18,  ///< "swimming pool", "parking lot": the word says what it is for
  kBodyPart = 1 << 20,        ///< hand, paw
  kAwayFrom = 1 << 21,        ///< prepositions that part the object from its place: into, from
  kAlong = 1 << 22,           ///< prepositions of the way that who moves takes: along, across
  kOfTheNearest = 1 << 23,    ///< prepositions about the noun before them: above, of
  kMoving = 1 << 24,          ///< first words of prepositions that do not stand for a relation alone: out (of)
  kSeeing = 1 << 25,          ///< infinitives whose object does something itself: "left a bicycle leaning"
  kOfBeings = 1 << 26,        ///< infinitives whose participle is said of persons and animals: dress, perch
  kNoDoer = 1 << 27           ///< infinitives after which "by" names no doer: surround
};
/// Whether a word, or a phrase as it is listed, is of a kind.
bool is(std::string_view word, WordKind kind);
inline bool is_animate(std::string_view lemma) { return is(lemma, WordKind::kPerson) || is(lemma, WordKind::kAnimal); }

/// Words that are one: prepositions ("in front of", "next to"), and phrases that are skipped ("back to back").
struct Idiom {
  std::span<const std::string_view> words;
  Tag tag = Tag::kPreposition;
};
/// All that start with a word.
std::span<const Idiom> idioms_of(std::string_view first);

/// The infinitive of a verb's form, near enough to look it up in these lists: "riding", "rides", "rode" ride.
std::string verb_base(std::string_view form);

}  // namespace vicha::text_detail
