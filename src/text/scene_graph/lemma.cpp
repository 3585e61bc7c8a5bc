#include "text/scene_graph/lemma.h"

#include <array>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "text/table_reader.h"

namespace vicha::embedded {
std::string_view irregular_nouns_tsv();
std::string_view noun_forms_txt();
}  // namespace vicha::embedded

namespace vicha {
namespace {

using Words = std::unordered_set<std::string_view>;

// The lists of noun_forms.txt.
struct NounForms {
  Words unchanged, in_ie, with_e, not_compound;
};

const NounForms& noun_forms() {
  static const NounForms forms = [] {
    NounForms read;
    for (const text_detail::WordList& list : text_detail::word_lists(embedded::noun_forms_txt())) {
      Words* words = list.name == "unchanged"      ? &read.unchanged
                     : list.name == "in_ie"        ? &read.in_ie
                     : list.name == "with_e"       ? &read.with_e
                     : list.name == "not_compound" ? &read.not_compound
                                                   : nullptr;
      VICHA_ASSERT(words != nullptr);
      words->insert(list.entries.begin(), list.entries.end());
    }
    return read;
  }();
  return forms;
}

bool ends_with(std::string_view word, std::string_view end) {
  return word.size() > end.size() && word.substr(word.size() - end.size()) == end;
}

std::string cut(std::string_view word, std::size_t count, std::string_view add = "") {
  return std::string(word.substr(0, word.size() - count)).append(add);
}

// "firemen", "grandchildren", "salespeople", "penknives".
std::string compound_of_irregular(std::string_view noun) {
  static constexpr std::pair<std::string_view, std::string_view> kEnds[] = {
      {"women", "woman"},  {"men", "man"},       {"children", "child"}, {"people", "person"},
      {"knives", "knife"}, {"shelves", "shelf"}, {"wives", "wife"}};
  if (noun_forms().not_compound.contains(noun)) return {};
  for (const auto& [plural, one] : kEnds) {
    if (ends_with(noun, plural)) return cut(noun, plural.size(), one);
  }
  return {};
}

// Of a word in -es whose e is heard: "boxes" box, "horses" horse, "potatoes" potato, "shoes" shoe.
std::string without_es(std::string_view noun, const KnownNoun& known) {
  const std::string_view stem = noun.substr(0, noun.size() - 2);
  std::string without_s = cut(noun, 1);
  if (ends_with(stem, "ss") || ends_with(stem, "zz")) return std::string(stem);
  if (noun_forms().with_e.contains(without_s) || (known && known(without_s))) return without_s;
  if ((ends_with(stem, "s") || ends_with(stem, "z")) && !(known && known(stem))) return without_s;
  return std::string(stem);
}

}  // namespace

std::string noun_lemma(std::string_view noun, const KnownNoun& known) {
  static const auto irregular = text_detail::word_pairs(embedded::irregular_nouns_tsv());
  if (noun_forms().unchanged.contains(noun)) return std::string(noun);
  if (const auto found = irregular.find(noun); found != irregular.end()) return std::string(found->second);
  if (std::string one = compound_of_irregular(noun); !one.empty()) return one;
  // "close-ups": the last part decides.
  if (const auto hyphen = noun.rfind('-'); hyphen != std::string_view::npos && hyphen + 1 < noun.size()) {
    return std::string(noun.substr(0, hyphen + 1)) + noun_lemma(noun.substr(hyphen + 1), known);
  }
  if (noun.size() < 3 || noun.back() != 's' || ends_with(noun, "ss") || ends_with(noun, "us") ||
      ends_with(noun, "is")) {
    return noun == "skis" || noun == "taxis" ? cut(noun, 1) : std::string(noun);
  }
  std::string without_s = cut(noun, 1);
  if (ends_with(noun, "ies") && noun.size() > 4) {
    return noun_forms().in_ie.contains(without_s) || (known && known(without_s)) ? without_s : cut(noun, 3, "y");
  }
  for (const std::string_view end : {"ses", "xes", "zes", "ches", "shes", "oes"}) {
    if (noun.size() > 4 && ends_with(noun, end)) return without_es(noun, known);
  }
  return without_s;
}

}  // namespace vicha
