// Scene graphs of captions against labels made by hand: precision, recall and F1 of objects, attributes and relations.
//
// Objects are compared as sets of lemmas, attributes as pairs, relations as triples. As people word relations and
// attributes differently ("sits on", "on"), one inside the other counts as equal where both ends are; how many triples
// are equal to the letter is printed beside.
#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/files.h"
#include "report.h"
#include "text/scene_graph/scene_graph.h"

namespace vicha::parity {
namespace {

using nlohmann::json;

/// A thing that is counted: what it ties together, and its wording ("" for objects).
struct Item {
  std::string ends, wording;
  bool operator<(const Item& other) const { return std::tie(ends, wording) < std::tie(other.ends, other.wording); }
};
using Items = std::set<Item>;

struct Score {
  double found = 0, ours = 0, theirs = 0, to_the_letter = 0;

  double precision() const { return ours > 0 ? found / ours : 0; }
  double recall() const { return theirs > 0 ? found / theirs : 0; }
  double f1(double right) const { return ours + theirs > 0 ? 2 * right / (ours + theirs) : 0; }
};

// Whether one wording is a run of whole words in the other.
bool fits(const std::string& a, const std::string& b) {
  const std::string shorter = " " + (a.size() < b.size() ? a : b) + " ",
                    longer = " " + (a.size() < b.size() ? b : a) + " ";
  return longer.find(shorter) != std::string::npos;
}

// Each label counts once and each of ours answers one label; equal ones are taken first.
void compare(const Items& ours, Items labels, Score& score) {
  score.ours += static_cast<double>(ours.size());
  score.theirs += static_cast<double>(labels.size());
  std::vector<Item> open;
  for (const Item& item : ours) {
    if (labels.erase(item) > 0) {
      ++score.found;
      ++score.to_the_letter;
    } else {
      open.push_back(item);
    }
  }
  for (const Item& item : open) {
    const auto label = std::find_if(labels.begin(), labels.end(), [&](const Item& other) {
      return other.ends == item.ends && fits(other.wording, item.wording);
    });
    if (label == labels.end()) continue;
    ++score.found;
    labels.erase(label);
  }
}

}  // namespace

void check_concepts(const fs::path& folder, Report& report) {
  const json rows = json::parse(read_file(folder / "concepts/captions.json"));
  SceneGraphParser parser;
  std::array<Score, 3> scores;
  for (const json& row : rows) {
    const SceneGraph graph = parser.parse(row.at("caption").get<std::string>());
    std::array<Items, 3> ours, labels;
    for (const std::string& object : graph.objects) ours[0].insert({object, ""});
    for (const auto& [object, attribute] : graph.attributes) ours[1].insert({object, attribute});
    for (const auto& [from, relation, to] : graph.relations) ours[2].insert({from + "\n" + to, relation});
    for (const json& object : row.at("objects")) labels[0].insert({object.at("singular").get<std::string>(), ""});
    for (const json& pair : row.at("attributes")) {
      labels[1].insert({pair.at(0).get<std::string>(), pair.at(1).get<std::string>()});
    }
    for (const json& triple : row.at("relations")) {
      labels[2].insert(
          {triple.at(0).get<std::string>() + "\n" + triple.at(2).get<std::string>(), triple.at(1).get<std::string>()});
    }
    for (std::size_t kind = 0; kind < scores.size(); ++kind) compare(ours[kind], labels[kind], scores[kind]);
  }

  struct Kind {
    const char* name;
    double least_f1;
  };
  constexpr std::array<Kind, 3> kKinds = {{{"objects", 0.9}, {"attributes", 0.8}, {"relations", 0.6}}};
  for (std::size_t kind = 0; kind < kKinds.size(); ++kind) {
    const Score& score = scores[kind];
    const double f1 = score.f1(score.found);
    std::printf(
        "concepts %-10s precision %.3f recall %.3f F1 %.3f (at least %.1f; to the letter %.3f) of %.0f labels\n",
        kKinds[kind].name, score.precision(), score.recall(), f1, kKinds[kind].least_f1, score.f1(score.to_the_letter),
        score.theirs);
    report.add(std::string("1 - F1 of ") + kKinds[kind].name, 1 - f1, 1 - kKinds[kind].least_f1);
  }
  report.close("concepts");
}

}  // namespace vicha::parity
