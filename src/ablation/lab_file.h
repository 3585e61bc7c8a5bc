// A lab: which runs are compared, on what budget, by which measures. docs/ablation.md is its reference.
//
//   recipe = "../recipes/demo-features.toml"      # relative to the lab, as `base` is
//   seeds = [1, 2, 3]
//   baseline = "albef"
//   [budget]
//   steps = 300
//   [evaluation]
//   manifest = "data/demo/test.json"
//   [row.albef]
//   set = ["hitc.enabled=false", "mae.enabled=false"]
//   [row.hitc]
//   on = "albef"
//   set = ["hitc.enabled=true"]
//   [axis.share]
//   key = "lab.share"
//   values = ["1/4", "1"]
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "config/describe.h"

namespace vicha {

/// How long each run trains. Neither given: as long as its recipe says.
struct LabBudget {
  std::int64_t steps = 0;
  double seconds = 0;
  std::int64_t trial_steps = 40;

  void describe(Visitor& v);
};

struct LabEvaluation {
  std::string task = "retrieval", manifest;
  std::vector<std::string> set, measures;

  void describe(Visitor& v);
};

/// Concepts that the lab finds itself, by `vicha concepts build`, from no more pairs than a run learns from.
struct LabConcepts {
  std::string source, image_tower, leave_out_group;
  std::int64_t k = 5;

  void describe(Visitor& v);
};

struct LabRow {
  std::string title, on, baseline, recipe, share;
  std::int64_t k = 0;
  std::vector<std::string> set;

  void describe(Visitor& v);
};

struct LabAxis {
  std::string key, title, baseline;
  std::vector<std::string> values, rows;
  bool log = false;

  void describe(Visitor& v);
};

/// Keys of an axis that are the lab's own and no recipe's.
inline constexpr std::string_view kShareKey = "lab.share", kConceptsKey = "lab.k";

struct Lab {
  std::string title, recipe, baseline;
  std::vector<std::string> set;
  std::vector<double> seeds = {1, 2, 3};
  bool keep_checkpoints = true;
  LabBudget budget;
  LabEvaluation evaluation;
  LabConcepts concepts;
  std::vector<std::pair<std::string, LabRow>> rows;   ///< in the order of the file
  std::vector<std::pair<std::string, LabAxis>> axes;  ///< likewise

  void describe(Visitor& v);
  /// The same rows and axes, without values.
  Lab defaults() const;
  const LabRow* find_row(std::string_view name) const;
};

/// Reads a lab, its base first, and checks what needs no recipe: names, references, seeds, budget. `recipe`s become
/// paths from where the program stands. Throws DataError naming the file and the key, or what load_recipe throws.
Lab load_lab(const std::filesystem::path& file);

/// "1/8", "12.5%", "0.125" as a number above 0, at most 1; throws DataError naming `where`.
double share_of_text(const std::string& text, const std::string& where);

}  // namespace vicha
