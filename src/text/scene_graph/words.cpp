#include "text/scene_graph/words.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/table_reader.h"

namespace vicha::embedded {
std::string_view closed_classes_txt();
std::string_view word_kinds_txt();
std::string_view idioms_txt();
std::string_view irregular_verbs_tsv();
}  // namespace vicha::embedded

namespace vicha::text_detail {
namespace {

constexpr std::pair<std::string_view, Tag> kTagNames[] = {
    {"determiner", Tag::kDeterminer},
    {"number", Tag::kNumber},
    {"be", Tag::kBe},
    {"auxiliary", Tag::kAuxiliary},
    {"preposition", Tag::kPreposition},
    {"conjunction", Tag::kConjunction},
    {"adverb", Tag::kAdverb},
    {"pronoun", Tag::kPronoun},
    {"relative", Tag::kRelative},
    {"subordinator", Tag::kSubordinator},
    {"genitive", Tag::kGenitive},
    {"noun", Tag::kNoun},
};

constexpr std::pair<std::string_view, WordKind> kKindNames[] = {
    {"collective", WordKind::kCollective},
    {"picture", WordKind::kImage},
    {"person", WordKind::kPerson},
    {"animal", WordKind::kAnimal},
    {"colour", WordKind::kColour},
    {"shade", WordKind::kShade},
    {"material", WordKind::kMaterial},
    {"person_pronoun", WordKind::kPersonPronoun},
    {"caption_verb", WordKind::kCaptionVerb},
    {"participle", WordKind::kParticiple},
    {"past_tense", WordKind::kPastTense},
    {"ing_noun", WordKind::kIngNoun},
    {"static_place", WordKind::kStaticPlace},
    {"moves_object", WordKind::kMovesObject},
    {"possession", WordKind::kPossession},
    {"helper", WordKind::kHelper},
    {"intensifier", WordKind::kIntensifier},
    {"object_particle", WordKind::kObjectParticle},
    {"gerund_modifier", WordKind::kGerundModifier},
    {"mostly_noun", WordKind::kMostlyNoun},
    {"body_part", WordKind::kBodyPart},
    {"away_from", WordKind::kAwayFrom},
    {"along", WordKind::kAlong},
    {"of_the_nearest", WordKind::kOfTheNearest},
    {"moving", WordKind::kMoving},
    {"seeing", WordKind::kSeeing},
    {"of_beings", WordKind::kOfBeings},
    {"no_doer", WordKind::kNoDoer},
};

template <class Value, std::size_t N>
Value named(const std::pair<std::string_view, Value> (&names)[N], std::string_view name) {
  const auto* found = std::ranges::find(names, name, &std::pair<std::string_view, Value>::first);
  VICHA_ASSERT(found != std::end(names));
  return found->second;
}

std::unordered_map<std::string_view, Tag> make_closed() {
  std::unordered_map<std::string_view, Tag> map;
  for (const WordList& list : word_lists(embedded::closed_classes_txt())) {
    for (const std::string_view word : list.entries) map.emplace(word, named(kTagNames, list.name));
  }
  return map;
}

std::unordered_map<std::string_view, std::uint32_t> make_kinds() {
  std::unordered_map<std::string_view, std::uint32_t> map;
  for (const WordList& list : word_lists(embedded::word_kinds_txt())) {
    const auto kind = static_cast<std::uint32_t>(named(kKindNames, list.name));
    for (const std::string_view word : list.entries) map[word] |= kind;
  }
  return map;
}

// Idioms by their first word; each list longest first.
struct IdiomTable {
  std::vector<std::vector<std::string_view>> words;
  std::unordered_map<std::string_view, std::vector<Idiom>> by_first;

  IdiomTable() {
    std::vector<Tag> tags;
    for (const WordList& list : word_lists(embedded::idioms_txt())) {
      for (const std::string_view phrase : list.entries) {
        words.push_back(split(phrase, ' '));
        tags.push_back(named(kTagNames, list.name));
      }
    }
    for (std::size_t i = 0; i < words.size(); ++i) by_first[words[i].front()].push_back({words[i], tags[i]});
    for (auto& [first, list] : by_first) {
      std::sort(list.begin(), list.end(),
                [](const Idiom& a, const Idiom& b) { return a.words.size() > b.words.size(); });
    }
  }
};

bool vowel(char c) { return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u'; }

// What is left of a form without -ing or -ed, or with -e behind it, if one of them is in the lists.
std::string base_of_stem(std::string stem) {
  const auto listed = [](const std::string& word) {
    return is(word, WordKind::kCaptionVerb) || is(word, WordKind::kMovesObject) || is(word, WordKind::kPossession) ||
           is(word, WordKind::kHelper);
  };
  if (listed(stem)) return stem;
  if (listed(stem + "e")) return stem + "e";
  const std::size_t n = stem.size();
  if (n > 2 && stem[n - 1] == stem[n - 2] && !vowel(stem[n - 1])) {
    std::string single = stem.substr(0, n - 1);
    if (listed(single)) return single;
  }
  if (n > 2 && stem.back() == 'i') stem.back() = 'y';
  return stem;
}

}  // namespace

Tag closed_class(std::string_view word) {
  static const auto map = make_closed();
  const auto found = map.find(word);
  return found == map.end() ? Tag::kUnknown : found->second;
}

bool is(std::string_view word, WordKind kind) {
  static const auto map = make_kinds();
  const auto found = map.find(word);
  return found != map.end() && (found->second & static_cast<std::uint32_t>(kind)) != 0;
}

std::span<const Idiom> idioms_of(std::string_view first) {
  static const IdiomTable table;
  const auto found = table.by_first.find(first);
  if (found == table.by_first.end()) return {};
  return found->second;
}

std::string verb_base(std::string_view form) {
  static const auto irregular = word_pairs(embedded::irregular_verbs_tsv());
  if (const auto found = irregular.find(form); found != irregular.end()) return std::string(found->second);
  const std::size_t n = form.size();
  if (n > 4 && form.ends_with("ing")) return base_of_stem(std::string(form.substr(0, n - 3)));
  if (n > 3 && form.ends_with("ed")) return base_of_stem(std::string(form.substr(0, n - 2)));
  if (n > 4 && form.ends_with("ies")) return std::string(form.substr(0, n - 3)) + "y";
  if (n > 4 && (form.ends_with("ches") || form.ends_with("shes") || form.ends_with("sses") || form.ends_with("xes") ||
                form.ends_with("zzes"))) {
    return std::string(form.substr(0, n - 2));
  }
  if (n > 2 && form.ends_with("s") && !form.ends_with("ss")) return std::string(form.substr(0, n - 1));
  return std::string(form);
}

}  // namespace vicha::text_detail
