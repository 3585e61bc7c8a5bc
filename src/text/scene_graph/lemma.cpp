#include "text/scene_graph/lemma.h"

#include <array>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace vicha {
namespace {

using Pairs = std::unordered_map<std::string_view, std::string_view>;
using Words = std::unordered_set<std::string_view>;

const Pairs& irregular_nouns() {
  static const Pairs pairs = {
      {"men", "man"},
      {"women", "woman"},
      {"children", "child"},
      {"people", "person"},
      {"feet", "foot"},
      {"teeth", "tooth"},
      {"geese", "goose"},
      {"mice", "mouse"},
      {"oxen", "ox"},
      {"dice", "die"},
      {"knives", "knife"},
      {"wives", "wife"},
      {"lives", "life"},
      {"leaves", "leaf"},
      {"loaves", "loaf"},
      {"halves", "half"},
      {"shelves", "shelf"},
      {"wolves", "wolf"},
      {"calves", "calf"},
      {"thieves", "thief"},
      {"scarves", "scarf"},
      {"hooves", "hoof"},
      {"elves", "elf"},
      {"dwarves", "dwarf"},
      {"cacti", "cactus"},
      {"octopi", "octopus"},
      {"fungi", "fungus"},
      {"larvae", "larva"},
      {"quizzes", "quiz"},
      {"lenses", "lens"},
      {"gases", "gas"},
      {"buses", "bus"},
      {"canvases", "canvas"},
      {"christmases", "christmas"},
      {"passersby", "passerby"},
      {"oases", "oasis"},
      {"axes", "axe"},
  };
  return pairs;
}

// No singular of their own, or a singular that ends like a plural and is caught by no rule below.
const Words& unchanged_nouns() {
  static const Words words = {
      "scissors",  "sunglasses",   "eyeglasses",   "glasses",  "goggles",    "binoculars", "pants",    "jeans",
      "shorts",    "trousers",     "pajamas",      "pyjamas",  "overalls",   "tights",     "leggings", "clothes",
      "tongs",     "pliers",       "tweezers",     "series",   "species",    "gas",        "lens",     "canvas",
      "christmas", "atlas",        "chaos",        "news",     "gymnastics", "athletics",  "graphics", "electronics",
      "texas",     "vegas",        "athens",       "molasses", "underpants", "sweatpants", "dominoes", "cosmos",
      "biceps",    "surroundings", "headquarters", "bias",     "always",     "outdoors",   "indoors",  "rhinoceros",
      "mars",      "knickers",     "earmuffs",     "has",      "was",        "suspenders", "dallas",
  };
  return words;
}

// Singulars in -ie: their plurals look like those of words in -y.
const Words& singulars_in_ie() {
  static const Words words = {
      "movie",  "cookie",  "brownie", "tie",    "pie",   "necktie", "zombie", "hoodie", "smoothie",     "selfie",
      "veggie", "calorie", "birdie",  "doggie", "genie", "prairie", "collie", "foodie", "bowtie",       "rookie",
      "beanie", "bootie",  "goalie",  "magpie", "cutie", "sweetie", "barbie", "aussie", "walkie-talkie"};
  return words;
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
  static const Words singular = {"specimen", "abdomen", "omen", "stamen", "regimen", "ramen", "semen"};
  if (singular.contains(noun)) return {};
  for (const auto& [plural, one] : kEnds) {
    if (ends_with(noun, plural)) return cut(noun, plural.size(), one);
  }
  return {};
}

// Of a word in -es whose e is heard: "boxes" box, "horses" horse, "potatoes" potato, "shoes" shoe.
std::string without_es(std::string_view noun, const KnownNoun& known) {
  static const Words with_e = {"headache", "ache",      "cache", "quiche", "moustache", "mustache", "avalanche",
                               "shoe",     "horseshoe", "toe",   "canoe",  "hoe",       "oboe"};
  const std::string_view stem = noun.substr(0, noun.size() - 2);
  std::string without_s = cut(noun, 1);
  if (ends_with(stem, "ss") || ends_with(stem, "zz")) return std::string(stem);
  if (with_e.contains(without_s) || (known && known(without_s))) return without_s;
  if ((ends_with(stem, "s") || ends_with(stem, "z")) && !(known && known(stem))) return without_s;
  return std::string(stem);
}

}  // namespace

std::string noun_lemma(std::string_view noun, const KnownNoun& known) {
  if (unchanged_nouns().contains(noun)) return std::string(noun);
  if (const auto found = irregular_nouns().find(noun); found != irregular_nouns().end()) {
    return std::string(found->second);
  }
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
    return singulars_in_ie().contains(without_s) || (known && known(without_s)) ? without_s : cut(noun, 3, "y");
  }
  for (const std::string_view end : {"ses", "xes", "zes", "ches", "shes", "oes"}) {
    if (noun.size() > 4 && ends_with(noun, end)) return without_es(noun, known);
  }
  return without_s;
}

}  // namespace vicha
