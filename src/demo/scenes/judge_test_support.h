// Says what is right of a scene from what objects.json says of it, knowing nothing of how scenes are made.
#pragma once

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "demo/scenes/testing.h"

namespace vicha::demo {

using Objects = nlohmann::json;  // a picture's entry in objects.json

inline std::string named(const nlohmann::json& object) { return object.at("name").get<std::string>(); }
inline int row_of(const nlohmann::json& object) {
  const auto box = object.at("bbox").get<std::vector<int>>();
  return (2 * box[1] + box[3]) / 128;
}
/// By the box, not by what the file says.
inline std::string size_of(const nlohmann::json& object) {
  const auto box = object.at("bbox").get<std::vector<int>>();
  return std::max(box[2], box[3]) > 47 ? "large" : "small";
}

inline long count_if(const Objects& objects, const std::function<bool(const nlohmann::json&)>& is) {
  return std::count_if(objects.begin(), objects.end(),
                       [&](const auto& object) { return !object.at("hidden").template get<bool>() && is(object); });
}
inline long count_named(const Objects& objects, const std::string& name) {
  return count_if(objects, [&](const auto& object) { return named(object) == name; });
}

/// The text between `start` and `end`, if it has both.
inline bool between(std::string_view text, std::string_view start, std::string_view end, std::string& inside) {
  if (!text.starts_with(start) || !text.ends_with(end) || text.size() < start.size() + end.size()) return false;
  inside = text.substr(start.size(), text.size() - start.size() - end.size());
  return true;
}
inline std::string without_article(const std::string& text) {
  const std::string name = text.substr(text.find(' ') + 1);
  const bool vowel = std::string_view("aeiou").find(name[0]) != std::string_view::npos;
  return text == (vowel ? "an " : "a ") + name ? name : throw std::runtime_error("wrong article: " + text);
}
inline std::string singular(const std::string& many) {
  for (const ToyName& name : kToyNames) {
    if (name.many == many) return name.one;
  }
  throw std::runtime_error("no plural: " + many);
}
inline const nlohmann::json& only(const Objects& objects, const std::string& name) {
  if (count_named(objects, name) != 1) throw std::runtime_error("not one " + name);
  return *std::find_if(objects.begin(), objects.end(), [&](const auto& object) { return named(object) == name; });
}

/// The object whose row is next above (step -1) or below that of the named one.
inline std::string neighbour(const Objects& objects, const std::string& name, int step) {
  const int from = row_of(only(objects, name));
  for (int row = from + step; row >= 0 && row < 3; row += step) {
    if (count_if(objects, [&](const auto& object) { return row_of(object) == row; }) > 1) {
      throw std::runtime_error("two in a row");
    }
    for (const auto& object : objects) {
      if (row_of(object) == row) return named(object);
    }
  }
  return "";
}

inline std::string right_answer(const std::string& question, const Objects& objects) {
  std::string a;
  const auto yes = [](bool is) { return std::string(is ? "yes" : "no"); };
  if (between(question, "is there any ", " in the picture?", a)) {
    return yes(count_if(objects, [&](const auto& object) { return object.at("category") == a; }) > 0);
  }
  if (between(question, "is there ", " in the picture?", a)) return yes(count_named(objects, without_article(a)) > 0);
  if (between(question, "how many ", " are there?", a)) return std::to_string(count_named(objects, singular(a)));
  if (between(question, "what is directly above the ", "?", a)) return neighbour(objects, a, -1);
  if (between(question, "what is directly below the ", "?", a)) return neighbour(objects, a, 1);
  if (between(question, "is the ", " large or small?", a)) return size_of(only(objects, a));
  if (between(question, "are there more ", "?", a)) {
    const std::size_t than = a.find(" than ");
    return yes(count_named(objects, singular(a.substr(0, than))) > count_named(objects, singular(a.substr(than + 6))));
  }
  throw std::runtime_error("no question: " + question);
}

inline bool is_true(const std::string& sentence, const Objects& first, const Objects& second) {
  std::string a;
  const auto in = [](const Objects& objects, const std::string& name) { return count_named(objects, name); };
  if (between(sentence, "both images contain ", "", a)) {
    return in(first, without_article(a)) > 0 && in(second, without_article(a)) > 0;
  }
  if (between(sentence, "exactly one of the images contains ", "", a)) {
    return (in(first, without_article(a)) > 0) != (in(second, without_article(a)) > 0);
  }
  if (between(sentence, "there are exactly three ", " in total", a)) {
    return in(first, singular(a)) + in(second, singular(a)) == 3;
  }
  if (between(sentence, "the first image contains more ", " than the second image", a)) {
    return in(first, singular(a)) > in(second, singular(a));
  }
  throw std::runtime_error("no statement: " + sentence);
}

/// What can be seen decides; where it does not and something is hidden, nothing does.
inline std::string right_label(const std::string& sentence, const Objects& objects) {
  const bool card = std::any_of(objects.begin(), objects.end(), [](const auto& object) { return object.at("hidden"); });
  std::string a;
  if (between(sentence, "there is ", " in the picture", a)) {
    return count_named(objects, without_article(a)) > 0 ? "entailment" : card ? "neutral" : "contradiction";
  }
  for (const std::string size : {"large", "small"}) {
    if (!between(sentence, "the ", " in the picture is " + size, a)) continue;
    if (count_named(objects, a) == 0) return card ? "neutral" : "contradiction";
    return size_of(only(objects, a)) == size ? "entailment" : "contradiction";
  }
  throw std::runtime_error("no hypothesis: " + sentence);
}

/// The boxes that an expression fits.
inline std::vector<std::vector<int>> right_boxes(const std::string& text, const Objects& objects) {
  std::string size, name;
  int highest = 0, lowest = 0;
  if (between(text, "the large ", "", name))
    size = "large";
  else if (between(text, "the small ", "", name))
    size = "small";
  else if (between(text, "the upper ", "", name))
    highest = 1;
  else if (between(text, "the lower ", "", name))
    lowest = 1;
  else
    between(text, "the ", "", name);
  std::vector<std::vector<int>> boxes;
  for (const auto& object : objects) {
    if (named(object) != name || (!size.empty() && size_of(object) != size)) continue;
    const long above =
        count_if(objects, [&](const auto& other) { return named(other) == name && row_of(other) < row_of(object); });
    const long below =
        count_if(objects, [&](const auto& other) { return named(other) == name && row_of(other) > row_of(object); });
    if ((highest == 1 && below == 0) || (lowest == 1 && above == 0)) continue;
    boxes.push_back(object.at("bbox").get<std::vector<int>>());
  }
  return boxes;
}

/// "large fox" of an object.
inline std::string sized_name(const nlohmann::json& object) { return size_of(object) + " " + named(object); }

inline std::vector<std::string> parts_of(std::string text, const std::string& between_them) {
  std::vector<std::string> parts;
  for (std::size_t at = text.find(between_them); at != std::string::npos; at = text.find(between_them)) {
    parts.push_back(text.substr(0, at));
    text = text.substr(at + between_them.size());
  }
  parts.push_back(text);
  return parts;
}

/// Whether every clause of a relation caption is true of the objects, and every object is in one.
inline bool relations_hold(const std::string& caption, const Objects& objects) {
  std::size_t mentioned = 1;
  for (const std::string& clause : parts_of(caption, " and ")) {
    const bool above = clause.find(" above ") != std::string::npos;
    const auto two = parts_of(clause, above ? " above " : " beside ");
    if (two.size() != 2) return false;
    const auto with = [&](const std::string& text) -> const nlohmann::json* {
      for (const auto& object : objects) {
        if (sized_name(object) == without_article(text)) return &object;
      }
      return nullptr;
    };
    const auto *one = with(two[0]), *other = with(two[1]);
    if (one == nullptr || other == nullptr) return false;
    if (above ? row_of(*one) >= row_of(*other) : row_of(*one) != row_of(*other)) return false;
    ++mentioned;
  }
  return mentioned == objects.size();
}

}  // namespace vicha::demo
