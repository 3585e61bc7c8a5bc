#include "text/scene_graph/linkage.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "text/scene_graph/lemma.h"
#include "text/scene_graph/tagger.h"

namespace vicha::text_detail {
namespace {

constexpr int kMaxSeconds =
    1;  // the library's clock counts whole ones; sentences of a caption's length take milliseconds
constexpr int kLinkagesFound = 60;     // of more than these the library draws a sample (always the same)
constexpr int kLinkagesCompared = 12;  // the cheapest

// Costs beside the library's own, in its unit.
constexpr double kPerLinkLength = 0.03;
constexpr double kDisagreement = 2.5;   // a noun that the rules hold to be a verb
constexpr double kDoubtfulWord = 0.25;  // the same where the rules guessed
constexpr double kNounOrAdjective = 0.3;
constexpr double kCommandOrQuestion = 2.0;
constexpr double kBehindOpening = 0.4;
constexpr double kAgreement = 0.3;  // so little disagreement that no other reading is tried

struct Deleter {
  void operator()(Sentence sentence) const { sentence_delete(sentence); }
  void operator()(Linkage linkage) const { linkage_delete(linkage); }
};
using OwnedSentence = std::unique_ptr<std::remove_pointer_t<Sentence>, Deleter>;
using OwnedLinkage = std::unique_ptr<std::remove_pointer_t<Linkage>, Deleter>;

bool is_open(Tag tag) { return tag == Tag::kUnknown; }

bool is_verbal(Tag tag) {
  return tag == Tag::kFinite || tag == Tag::kIng || tag == Tag::kPast || tag == Tag::kInfinitive;
}

// "riding.v" v, "frisbee[?].n" n, "close-up[!<HYPHENATED-WORDS>].n" n, "[of]" (unlinked) and "is" nothing.
std::string_view subscript_of(std::string_view word) {
  if (word.starts_with("[")) return {};
  const auto bracket = word.rfind(']');
  const auto dot = word.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || (bracket != std::string_view::npos && dot < bracket)) return {};
  return word.substr(dot + 1);
}

// The capital letters that a link's name starts with: "Ss*s" S, "MVp" MV, "SIs*x" SI.
std::string_view family(std::string_view label) {
  while (!label.empty() && label.front() >= 'a' && label.front() <= 'z') label.remove_prefix(1);
  std::size_t n = 0;
  while (n < label.size() && label[n] >= 'A' && label[n] <= 'Z') ++n;
  return label.substr(0, n);
}

// What the links say of one word.
struct Evidence {
  bool modifies = false;     // left end of A or AN: stands before its noun
  bool determined = false;   // right end of D
  bool subject = false;      // left end of S
  bool object = false;       // right end of O or J
  bool finite = false;       // right end of S
  bool infinitive = false;   // right end of I
  bool participle = false;   // right end of Mv, Pv or PP
  bool progressive = false;  // right end of Pg or Mg
};

}  // namespace

struct LinkTagger::Best {
  double cost = std::numeric_limits<double>::infinity();
  double dissent = std::numeric_limits<double>::infinity();
  bool sure = true;  // the rules did not have to guess
  CaptionSentence words;

  bool agrees() const { return sure && dissent <= kAgreement; }
};

namespace {

// Whether the rules had to guess: behind a noun they take a word that may be both for a noun unless much speaks for the
// verb ("a dog that is wearing sunglasses looks out").
bool is_doubtful(const CaptionSentence& original, const CaptionSentence& ruled, std::size_t i) {
  if (i == 0 || ruled[i].tag != Tag::kNoun || !is_open(original[i].tag)) return false;
  const Tag before = ruled[i - 1].tag;
  return (before == Tag::kNoun || before == Tag::kComma || before == Tag::kAdverb || before == Tag::kConjunction) &&
         is(verb_base(original[i].text), WordKind::kCaptionVerb);
}

class LinkageReader {
 public:
  LinkageReader(const CaptionSentence& original, const CaptionSentence& ruled, Lexicon& lexicon)
      : original_(original), ruled_(ruled), lexicon_(lexicon) {}

  /// `starts`: byte offset of each word in the text that was parsed.
  double read(Linkage linkage, const std::vector<std::size_t>& starts) {
    cost = linkage_disjunct_cost(linkage) + kPerLinkLength * linkage_link_cost(linkage);
    dissent = 0;
    collect(linkage, starts);
    words = original_;
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (!is_open(original_[i].tag)) continue;
      words[i].tag = tag_of(i);
      dissent += disagreement(i);
    }
    settle_to();
    return cost += dissent;
  }

  double cost = 0, dissent = 0;  ///< dissent: the part of the cost that is disagreement with the rules
  CaptionSentence words;

 private:
  void collect(Linkage linkage, const std::vector<std::size_t>& starts) {
    const std::size_t size = linkage_get_num_words(linkage);
    std::vector<std::size_t> place(size, original_.size());
    subscripts_.assign(original_.size(), {});
    evidence_.assign(original_.size(), {});
    for (std::size_t w = 0; w < size; ++w) {
      const std::size_t byte = linkage_get_word_byte_start(linkage, w);
      const auto found = std::lower_bound(starts.begin(), starts.end(), byte);
      const bool wall = linkage_get_word_byte_end(linkage, w) <= byte;
      if (wall || found == starts.end() || *found != byte) continue;
      place[w] = static_cast<std::size_t>(found - starts.begin());
      subscripts_[place[w]] = subscript_of(linkage_get_word(linkage, w));
    }
    for (std::size_t link = 0; link < linkage_get_num_links(linkage); ++link) {
      const std::string_view label = linkage_get_link_label(linkage, link);
      const std::size_t left = place[linkage_get_link_lword(linkage, link)];
      const std::size_t right = place[linkage_get_link_rword(linkage, link)];
      note(label, left, right);
    }
  }

  void note(std::string_view label, std::size_t left, std::size_t right) {
    Evidence spare;
    Evidence& l = left < evidence_.size() ? evidence_[left] : spare;
    Evidence& r = right < evidence_.size() ? evidence_[right] : spare;
    const std::string_view kind = family(label);
    if (kind == "A" || kind == "AN") {
      l.modifies = true;
    } else if (kind == "D" || kind == "DD") {
      r.determined = true;
    } else if (kind == "S" || kind == "SX") {
      l.subject = true;
      r.finite = true;
    } else if (kind == "O" || kind == "OX" || kind == "J") {
      r.object = true;
    } else if (kind == "I" || kind == "IX") {
      r.infinitive = true;
    } else if (label.starts_with("Mv") || label.starts_with("Pv") || kind == "PP") {
      r.participle = true;
    } else if (label.starts_with("Mg") || label.starts_with("Pg")) {
      r.progressive = true;
    } else if (label.starts_with("Wi") || label.starts_with("Wq") || label.starts_with("Ws")) {
      cost += kCommandOrQuestion;
    }
  }

  Tag tag_of(std::size_t i) {
    const std::string_view subscript = subscripts_[i];
    const Evidence& links = evidence_[i];
    const Tag ruled = ruled_[i].tag;
    if (subscript.empty()) return ruled;
    const std::string& word = original_[i].text;
    const bool ing = word.ends_with("ing");
    if (ruled == Tag::kNoun && is(word, WordKind::kIngNoun)) return ruled;
    // The library often reads "people standing" as a compound and "is sleeping" as a noun.
    if (ing && ruled == Tag::kIng) return ruled;
    const bool verb = subscript.starts_with("v") || subscript.starts_with("q") || subscript.starts_with("w");
    if (links.modifies) {
      // Before a noun "brown" is an adjective and "kitchen" a noun, whichever entry of the dictionary was taken.
      if (ruled == Tag::kNoun && is(word, WordKind::kGerundModifier)) return ruled;  // "swimming pool"
      if (subscript.starts_with("a") && ruled == Tag::kNoun && !(lexicon_.classes(word) & kCanAdjective)) return ruled;
      if (verb || subscript == "g" || subscript.starts_with("a")) return Tag::kAdjective;
      return ruled == Tag::kAdjective ? ruled : Tag::kNoun;
    }
    if (verb) {
      if (links.infinitive) return Tag::kInfinitive;
      if (ing) return Tag::kIng;
      if (links.participle) return Tag::kPast;
      const bool may_be_past = (lexicon_.classes(word) & kCanPast) != 0;
      if (!may_be_past || ruled == Tag::kFinite) return Tag::kFinite;
      return ruled == Tag::kPast ? ruled : Tag::kFinite;
    }
    if (subscript == "g") return links.determined && !links.progressive ? Tag::kNoun : Tag::kIng;
    if (subscript.starts_with("a")) return Tag::kAdjective;
    if (subscript == "e" || subscript == "r") return Tag::kAdverb;
    if (links.determined || links.subject || links.object || subscript.starts_with("n") || subscript.size() == 1) {
      return ruled == Tag::kAdjective && !links.determined && !links.object && !links.subject ? ruled : Tag::kNoun;
    }
    return ruled;
  }

  double disagreement(std::size_t i) const {
    const Tag ours = words[i].tag, theirs = ruled_[i].tag;
    if (ours == theirs || (is_verbal(ours) && is_verbal(theirs))) return 0;
    if (!is_verbal(ours) && !is_verbal(theirs)) return kNounOrAdjective;
    const bool doubtful = is_doubtful(original_, ruled_, i);
    return doubtful ? kDoubtfulWord : kDisagreement;
  }

  void settle_to() {
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i].text != "to") continue;
      const bool verb = words[i + 1].tag == Tag::kInfinitive || ruled_[i + 1].tag == Tag::kBe;
      words[i].tag =
          verb || (ruled_[i].tag == Tag::kTo && !is_open(original_[i + 1].tag)) ? Tag::kTo : Tag::kPreposition;
    }
  }

  const CaptionSentence& original_;
  const CaptionSentence& ruled_;
  Lexicon& lexicon_;
  std::vector<std::string> subscripts_;
  std::vector<Evidence> evidence_;
};

bool has_finite_verb(const CaptionSentence& words) {
  return std::any_of(words.begin(), words.end(), [](const CaptionWord& word) {
    return word.tag == Tag::kFinite || word.tag == Tag::kBe || word.tag == Tag::kAuxiliary;
  });
}

// What turns a noun phrase into a sentence: "there are two dogs", "there is the person" (of "person skiing").
std::string_view opening_for(const CaptionSentence& words, Lexicon& lexicon) {
  bool determined = false;
  for (const CaptionWord& word : words) {
    if (word.tag == Tag::kNumber && word.text != "one") return "there are ";
    determined = determined || word.tag == Tag::kDeterminer;
    if (word.tag != Tag::kNoun) continue;
    if (is(word.text, WordKind::kCollective) && word.text != "team" && word.text != "family") return "there are ";
    const bool plural = noun_lemma(word.text, [&](std::string_view w) { return lexicon.known_noun(w); }) != word.text;
    return plural ? "there are " : determined ? "there is " : "there is the ";
  }
  return "there is ";
}

}  // namespace

bool rules_guessed(const CaptionSentence& original, const CaptionSentence& ruled) {
  for (std::size_t i = 0; i < ruled.size(); ++i) {
    if (is_doubtful(original, ruled, i)) return true;
  }
  return false;
}

LinkTagger::LinkTagger(SharedDictionary dictionary)
    : dictionary_(std::move(dictionary)), options_(parse_options_create()) {
  VICHA_ASSERT(options_);
  parse_options_set_verbosity(options_.get(), 0);
  parse_options_set_linkage_limit(options_.get(), kLinkagesFound);
  parse_options_set_max_parse_time(options_.get(), kMaxSeconds);
  parse_options_set_spell_guess(options_.get(), 0);
}

void LinkTagger::try_text(const CaptionSentence& original, const CaptionSentence& ruled, std::string_view opening,
                          double handicap, Lexicon& lexicon, Best& best) {
  std::string text(opening);
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < original.size(); ++i) {
    const CaptionWord& word = original[i];
    // "tall, dry grass": the library takes such a comma for the end of a clause.
    const bool inside =
        i > 0 && i + 1 < original.size() && ruled[i - 1].tag == Tag::kAdjective && ruled[i + 1].tag == Tag::kAdjective;
    if (word.tag == Tag::kComma && inside) {
      starts.push_back(text.size());
      continue;
    }
    if (!text.empty() && text.back() != ' ' && word.tag != Tag::kGenitive) text += ' ';
    starts.push_back(text.size());
    text += word.text;
    if (word.tag == Tag::kAdjective)
      std::replace(text.end() - static_cast<std::ptrdiff_t>(word.text.size()), text.end(), ' ', '-');
  }
  const OwnedSentence sentence(sentence_create(text.c_str(), dictionary_.get()));
  if (!sentence) return;
  Parse_Options options = options_.get();
  parse_options_reset_resources(options);
  if (sentence_split(sentence.get(), options) < 0 || sentence_parse(sentence.get(), options) <= 0) return;
  const int count = std::min(sentence_num_valid_linkages(sentence.get()), kLinkagesCompared);
  LinkageReader reader(original, ruled, lexicon);
  for (int i = 0; i < count; ++i) {
    const OwnedLinkage linkage(linkage_create(static_cast<LinkageIdx>(i), sentence.get(), options));
    if (!linkage) break;
    const double cost = handicap + reader.read(linkage.get(), starts);
    if (cost < best.cost) {
      best.cost = cost;
      best.dissent = reader.dissent;
      best.words = reader.words;
    }
    if (best.dissent == 0 && best.sure) break;  // those that follow cost more
  }
}

std::optional<CaptionSentence> LinkTagger::tag(const CaptionSentence& original, const CaptionSentence& ruled,
                                               Lexicon& lexicon) {
  Best best;
  best.sure = !rules_guessed(original, ruled);
  const bool sentence = has_finite_verb(ruled);
  const std::string_view opening = opening_for(ruled, lexicon);
  if (sentence) try_text(original, ruled, "", 0, lexicon, best);
  if (!best.agrees()) try_text(original, ruled, opening, kBehindOpening, lexicon, best);
  if (!sentence && !best.agrees()) try_text(original, ruled, "", 0, lexicon, best);
  if (best.words.empty()) return std::nullopt;
  settle_closed_words(best.words, lexicon);
  return std::move(best.words);
}

}  // namespace vicha::text_detail
