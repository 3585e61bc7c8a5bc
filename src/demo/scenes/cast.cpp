#include "demo/scenes/cast.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "text/cleaning/label.h"

namespace vicha::demo {
namespace {

struct Prefix {
  std::string_view start, category;
};

/// Of the names of Unicode's subgroups.
constexpr Prefix kSubgroups[] = {{"animal-", "animal"},
                                 {"plant-", "plant"},
                                 {"food-", "food"},
                                 {"drink", "food"},
                                 {"transport-ground", "vehicle"},
                                 {"transport-water", "vehicle"},
                                 {"transport-air", "vehicle"},
                                 {"musical-instrument", "instrument"},
                                 {"tool", "tool"},
                                 {"clothing", "clothing"},
                                 {"household", "furniture"},
                                 {"sport", "sport"}};

/// Of the stamps' paths.
constexpr Prefix kStampFolders[] = {{"animals/", "animal"}, {"food/", "food"},    {"hobbies/", "instrument"},
                                    {"sports/", "sport"},   {"plants/", "plant"}, {"vehicles/", "vehicle"},
                                    {"household/", "tool"}};

/// Parts of labels that name no single thing that can be counted, or one that the drawings of artists disagree on.
constexpr std::string_view kLeftOut[] = {
    "face",       "button",      "light",   "stop sign", "fuel",    "station",       "paw",    "bouquet",
    "tracks",     "cut of",      "with",    "and ",      "no ",     "construction",  "seat",   "medal",
    "dart",       "flying disc", "rice",    "bread",     "wheel",   "anchor",        "person", "motorway",
    "railway",    "horizontal",  "traffic", "departure", "arrival", "shopping bags", "rescue", "safety",
    "swim brief", "bikini",      "sari",    "kimono"};

/// Names that others of the cast could be called by, too.
constexpr std::string_view kGeneral[] = {
    "bird",     "fish",    "insect",    "flower", "tree", "bug",   "boat",       "ship",   "animal", "spider", "shark",
    "monkey",   "ape",     "vegetable", "fruit",  "car",  "truck", "automobile", "wheel",  "bag",    "shoe",   "hat",
    "clothing", "blossom", "plant",     "dish",   "lamp", "leaf",  "shell",      "planet", "herb"};

template <std::size_t N>
std::string_view category_of(const Prefix (&prefixes)[N], std::string_view text) {
  for (const auto& [start, category] : prefixes) {
    if (text.starts_with(start)) return category;
  }
  return "";
}

bool is_general(std::string_view name) {
  return std::find(std::begin(kGeneral), std::end(kGeneral), name) != std::end(kGeneral);
}

/// Words of a name that has single blanks only.
std::size_t count_of_words(std::string_view name) {
  return 1 + static_cast<std::size_t>(std::count(name.begin(), name.end(), ' '));
}

std::string_view last_word(std::string_view name) { return name.substr(name.rfind(' ') + 1); }  // npos + 1 is 0

bool is_plain_name(std::string_view label) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || c == ' '; };
  if (count_of_words(label) > 2 || label.ends_with('s')) return false;
  if (!std::all_of(label.begin(), label.end(), is_plain)) return false;
  return std::none_of(std::begin(kLeftOut), std::end(kLeftOut),
                      [&](std::string_view part) { return label.find(part) != std::string_view::npos; });
}

/// "crow" of "A crow."; nothing for captions that say more, or of several things.
std::string noun_of(std::string_view caption) {
  for (const std::string_view article : {"A ", "An ", "The "}) {
    if (!caption.starts_with(article)) continue;
    std::string_view noun = caption.substr(article.size());
    if (!noun.ends_with('.') && !noun.ends_with('!')) return "";
    noun.remove_suffix(1);
    if (noun.size() < 2 || noun.front() < 'a' || noun.front() > 'z' || noun.ends_with('s')) return "";
    const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || c == ' ' || c == '-'; };
    if (!std::all_of(noun.begin(), noun.end(), is_plain) || count_of_words(noun) > 3) return "";
    return std::string(noun);
  }
  return "";
}

class Casting {
 public:
  void add(const EmojiConcept& emoji) {
    const std::string name = cleaning::lower(emoji.label);
    const std::string_view category = category_of(kSubgroups, emoji.subgroup);
    if (category.empty() || emoji.split == ConceptSplit::kHeldOut || !is_plain_name(name)) return;
    SceneConcept& concept_ = entry(name, category);
    for (const auto& [artist, drawing] : emoji.drawings) {
      (artist == kHeldOutArtist ? concept_.unseen : concept_.training).push_back(keep(drawing));
    }
  }

  void add(const Stamp& stamp) {
    const std::string name = noun_of(stamp.caption);
    const std::string_view category = category_of(kStampFolders, stamp.name);
    if (category.empty() || name.empty() || !stamp.photo || stamp.split != StampSplit::kTrain) return;
    SceneConcept& concept_ = entry(name, category);
    const std::size_t photo = keep(stamp.drawing);
    concept_.training.push_back(photo);
    concept_.unseen.push_back(photo);
    concept_.has_photo = true;
  }

  SceneCast finish() && {
    remove_ambiguous();
    return std::move(cast_);
  }

 private:
  SceneConcept& entry(const std::string& name, std::string_view category) {
    const auto [found, is_new] = positions_.try_emplace(name, cast_.concepts.size());
    if (is_new) cast_.concepts.push_back({name, std::string(category), {}, {}, false});
    return cast_.concepts[found->second];
  }

  std::size_t keep(const Drawing& drawing) {
    cast_.drawings.push_back(drawing);
    return cast_.drawings.size() - 1;
  }

  /// A name that also fits another concept ("bear" beside "polar bear") would make labels wrong.
  void remove_ambiguous() {
    std::set<std::string> left;
    for (const SceneConcept& concept_ : cast_.concepts) left.insert(concept_.name);
    const auto fits_other = [&](const std::string& name) {
      return std::any_of(left.begin(), left.end(), [&](const std::string& other) {
        if (other == name) return false;
        const bool names_a_kind_of_it = last_word(other) == name;
        const bool is_a_kind_of_it =
            last_word(name) == last_word(other) && name.size() > other.size() && is_general(other);
        return names_a_kind_of_it || is_a_kind_of_it;
      });
    };
    std::erase_if(cast_.concepts, [&](const SceneConcept& concept_) {
      const std::string name = concept_.name;
      const bool ambiguous = is_general(name) || fits_other(name);
      if (ambiguous) left.erase(name);
      return ambiguous;
    });
  }

  SceneCast cast_;
  std::map<std::string, std::size_t> positions_;  // name → in cast_.concepts
};

}  // namespace

SceneCast choose_cast(const std::vector<EmojiConcept>& emoji, const std::vector<Stamp>& stamps) {
  Casting casting;
  for (const EmojiConcept& one : emoji) casting.add(one);
  for (const Stamp& stamp : stamps) casting.add(stamp);
  return std::move(casting).finish();
}

}  // namespace vicha::demo
