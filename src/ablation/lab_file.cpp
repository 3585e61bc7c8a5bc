#include "ablation/lab_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/printable.h"
#include "config/section_names.h"
#include "config/serialize.h"
#include "data/tools/subset_share.h"

namespace vicha {
namespace {

constexpr double kMostSeeds = 9007199254740992.0;  // 2^53: whole numbers that a double holds

/// Names become names of folders.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 60 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '+';
  });
}

class LabCheck {
 public:
  LabCheck(const Lab& lab, std::string file) : lab_(lab), file_(std::move(file)) {}

  void all() const {
    if (lab_.rows.empty()) fail("has no rows", "Give at least one: [row.NAME]");
    seeds();
    if (lab_.budget.steps > 0 && lab_.budget.seconds > 0) {
      fail("'budget' gives both steps and seconds", "Keep one of them");
    }
    if (lab_.evaluation.manifest.empty())
      fail("'evaluation.manifest' is missing", "Name the set that runs are judged on");
    reference("baseline", lab_.baseline);
    for (const auto& [name, row] : lab_.rows) this->row(name, row);
    for (const auto& [name, axis] : lab_.axes) this->axis(name, axis);
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& remedy) const {
    throw DataError(file_, what, remedy);
  }

  void seeds() const {
    std::set<double> seen;
    for (const double seed : lab_.seeds) {
      if (seed != std::floor(seed) || seed < 0 || seed > kMostSeeds) {
        fail(fmt::format("'seeds' holds {}, which is not a seed", seed), "Seeds are whole numbers from 0");
      }
      if (!seen.insert(seed).second) fail(fmt::format("'seeds' holds {} twice", seed), "Each seed is one run of a row");
    }
    if (seen.empty()) fail("'seeds' is empty", "Give at least one: seeds = [1, 2, 3]");
  }

  void reference(const std::string& key, const std::string& name) const {
    if (name.empty() || lab_.find_row(name) != nullptr) return;
    std::string known;
    for (const auto& [row, options] : lab_.rows) known += (known.empty() ? "" : ", ") + row;
    fail(fmt::format("'{}' names the row '{}', which is not there", key, printable(name)), "Rows: " + known);
  }

  void row(const std::string& name, const LabRow& row) const {
    const std::string key = "row." + printable(name);
    if (!is_plain_name(name)) {
      fail(fmt::format("'{}' cannot be the name of a row", key),
           "It names folders too: up to 60 letters, digits, '-', '_' and '+'");
    }
    reference(key + ".on", row.on);
    reference(key + ".baseline", row.baseline);
    if (row.on == name) fail(fmt::format("'{}.on' names the row itself", key), "Name another row, or leave it out");
    std::vector<std::string> chain = {name};
    for (const LabRow* next = &row; !next->on.empty(); next = lab_.find_row(next->on)) {
      if (std::ranges::find(chain, next->on) != chain.end()) {
        fail(fmt::format("'{}.on': the row builds on itself", key), "Let one of them build on no other");
      }
      chain.push_back(next->on);
      reference(key + ".on", next->on);
    }
    if (!row.share.empty()) share_of_text(row.share, fmt::format("{}: '{}.share'", file_, key));
  }

  void axis(const std::string& name, const LabAxis& axis) const {
    const std::string key = "axis." + printable(name);
    if (!is_plain_name(name)) {
      fail(fmt::format("'{}' cannot be the name of an axis", key), "Up to 60 letters, digits, '-', '_' and '+'");
    }
    if (axis.key.empty()) {
      fail(fmt::format("'{}.key' is missing", key), "Name a key of the recipe, lab.share or lab.k");
    }
    if (axis.key.starts_with("lab.") && axis.key != kShareKey && axis.key != kConceptsKey) {
      fail(fmt::format("'{}.key' is {}, which is not a key of a lab", key, printable(axis.key)),
           "Known are lab.share and lab.k; others are keys of the recipe");
    }
    if (axis.key == "train.seed")
      fail(fmt::format("'{}.key' is train.seed, which 'seeds' sets", key), "Name the seeds there");
    if (axis.key == "train.max_steps" && (lab_.budget.steps > 0 || lab_.budget.seconds > 0)) {
      fail(fmt::format("'{}.key' is train.max_steps, which the budget sets", key), "Take [budget] out");
    }
    for (const auto& [other, options] : lab_.axes) {
      const auto meets = [&](const std::string& row) {
        return options.rows.empty() || std::ranges::find(options.rows, row) != options.rows.end();
      };
      if (other == name || options.key != axis.key) continue;
      if (axis.rows.empty() || options.rows.empty() || std::ranges::any_of(axis.rows, meets)) {
        fail(fmt::format("'{}' and 'axis.{}' both set {}", key, printable(other), axis.key),
             "Give them different rows, or make one axis of them");
      }
    }
    if (axis.values.empty()) fail(fmt::format("'{}.values' is empty", key), "Give the values of the axis");
    std::vector<double> shares;
    for (std::size_t i = 0; i < axis.values.size(); ++i) {
      if (std::find(axis.values.begin(), axis.values.begin() + static_cast<std::ptrdiff_t>(i), axis.values[i]) !=
          axis.values.begin() + static_cast<std::ptrdiff_t>(i)) {
        fail(fmt::format("'{}.values' holds {} twice", key, printable(axis.values[i])), "Take one out");
      }
      if (axis.key == kShareKey) {
        const double share = share_of_text(axis.values[i], fmt::format("{}: '{}.values'", file_, key));
        const auto twin = std::ranges::find(shares, share);
        if (twin != shares.end()) {
          fail(fmt::format("'{}.values' holds one share twice, {} and {}", key,
                           axis.values[static_cast<std::size_t>(twin - shares.begin())], axis.values[i]),
               "Take one out");
        }
        shares.push_back(share);
      }
      if (axis.key == kConceptsKey) {
        const std::string& text = axis.values[i];
        if (text.empty() || text.size() > 4 || text.find_first_not_of("0123456789") != std::string::npos ||
            text == "0") {
          fail(fmt::format("'{}.values' holds {}", key, printable(text)), "lab.k is a whole number from 1 to 9999");
        }
      }
    }
    if (axis.key == kConceptsKey && lab_.concepts.source.empty()) {
      fail(fmt::format("'{}.key' is lab.k, and the lab finds no concepts", key), "Name their source: concepts.source");
    }
    for (const std::string& row : axis.rows) reference(key + ".rows", row);
    if (!axis.baseline.empty() && std::ranges::find(axis.values, axis.baseline) == axis.values.end()) {
      fail(fmt::format("'{}.baseline' is {}, none of its values", key, printable(axis.baseline)),
           "Name one of the values");
    }
  }

  const Lab& lab_;
  std::string file_;
};

}  // namespace

void LabBudget::describe(Visitor& v) {
  v.field({"steps", "steps", "Steps of every run; left out: as seconds say", 1, 1e12}, steps);
  v.field({"seconds", "s",
           "Training time of a run, for which each row gets as many steps as a short trial says; 0: as the recipe says",
           0, 1e9},
          seconds);
  v.field({"trial_steps", "steps", "Length of that trial", 4, 1e6}, trial_steps);
}

void LabEvaluation::describe(Visitor& v) {
  v.field({"task", "", "What is evaluated: the TASK of vicha eval TASK"}, task);
  v.field({"manifest", "", "Evaluation set"}, manifest);
  v.field({"set", "", "Options of the evaluation, as --set takes them: [\"k_test=32\"]"}, set);
  v.field({"measures", "",
           "Figures to compare: keys of the evaluation's JSON; mean: of retrieval's six recalls. Empty: those and the "
           "mean, or the figures that a report shows"},
          measures);
}

void LabConcepts::describe(Visitor& v) {
  v.field(
      {"source", "",
       "Where concepts come from, as vicha concepts build --source says, for rows that read some; empty: they stand "
       "in the recipe's manifests"},
      source);
  v.field({"image_tower", "", "--image-tower of that command"}, image_tower);
  v.field({"leave_out_group", "", "--leave-out-group of that command"}, leave_out_group);
  v.field({"k", "concepts", "Concepts of a picture", 1, 1e6}, k);
}

void LabRow::describe(Visitor& v) {
  v.field({"title", "", "What tables call it; empty: its name"}, title);
  v.field({"on", "", "Row that it builds on: that one's recipe and settings come first"}, on);
  v.field({"baseline", "", "Row that it is compared with; empty: the lab's"}, baseline);
  v.field({"recipe", "", "Recipe, relative to the lab; empty: the lab's, or that of the row it builds on"}, recipe);
  v.field({"share", "", "Share of the pairs that it learns from, drawn by the seed: \"1/4\""}, share);
  v.field({"k", "concepts", "Concepts of a picture; 0: concepts.k", 0, 1e6}, k);
  v.field({"set", "", "Keys of the recipe: [\"hitc.enabled=false\"]"}, set);
}

void LabAxis::describe(Visitor& v) {
  v.field({"key", "", "Key of the recipe that takes the values; or lab.share, lab.k"}, key);
  v.field({"title", "", "What tables call it; empty: its name"}, title);
  v.field({"baseline", "", "Value that the others are compared with; empty: each with its row's baseline"}, baseline);
  v.field({"values", "", "The values, as texts"}, values);
  v.field({"rows", "", "Rows that it multiplies; empty: all"}, rows);
  v.field({"log", "", "Its curve has a logarithmic axis"}, log);
}

void Lab::describe(Visitor& v) {
  v.field({"title", "", "Heading of the table"}, title);
  v.field({"recipe", "", "Recipe of the rows, relative to the lab"}, recipe);
  v.field({"baseline", "", "Row that the others are compared with; empty: the first"}, baseline);
  v.field({"set", "", "Keys of the recipe, of all rows"}, set);
  v.field({"seeds", "", "Each is one run of every row (train.seed)"}, seeds);
  v.field({"keep_checkpoints", "", "Keep the models once they are evaluated"}, keep_checkpoints);
  v.section("budget", "Length of the runs", budget);
  v.section("evaluation", "What runs are judged by", evaluation);
  v.section("concepts", "Concepts that the lab finds", concepts);
  // [row] and [axis] hold nothing but sections.
  struct Named {
    std::vector<std::pair<std::string, LabRow>>* rows = nullptr;
    std::vector<std::pair<std::string, LabAxis>>* axes = nullptr;
    void describe(Visitor& visitor) {
      if (rows != nullptr) {
        for (auto& [name, row] : *rows) visitor.section(name, "A row of the table", row);
      }
      if (axes != nullptr) {
        for (auto& [name, axis] : *axes) visitor.section(name, "An axis of a grid", axis);
      }
    }
  };
  Named named_rows{.rows = &rows}, named_axes{.axes = &axes};
  v.section("row", "Rows of the table", named_rows);
  v.section("axis", "Axes of grids", named_axes);
}

Lab Lab::defaults() const {
  Lab lab;
  for (const auto& [name, row] : rows) lab.rows.emplace_back(name, LabRow());
  for (const auto& [name, axis] : axes) lab.axes.emplace_back(name, LabAxis());
  return lab;
}

const LabRow* Lab::find_row(std::string_view name) const {
  const auto found = std::ranges::find(rows, name, [](const auto& row) { return row.first; });
  return found == rows.end() ? nullptr : &found->second;
}

double share_of_text(const std::string& text, const std::string& where) {
  try {
    return Share::parse(text, where).value();
  } catch (const UsageError& error) {
    throw DataError(where, fmt::format("{} is not a share", printable(text)), "Write \"1/4\", \"25%\" or \"0.25\"");
  }
}

Lab load_lab(const std::filesystem::path& file) {
  Lab lab;
  for (std::string& name : section_names(file, "row")) lab.rows.emplace_back(std::move(name), LabRow());
  for (std::string& name : section_names(file, "axis")) lab.axes.emplace_back(std::move(name), LabAxis());
  load_recipe(lab, file);
  LabCheck(lab, file.string()).all();
  if (lab.baseline.empty()) lab.baseline = lab.rows.front().first;
  const auto resolve = [&](std::string& recipe) {
    if (!recipe.empty()) recipe = (file.parent_path() / recipe).lexically_normal().string();
  };
  resolve(lab.recipe);
  for (auto& [name, row] : lab.rows) resolve(row.recipe);
  return lab;
}

}  // namespace vicha
