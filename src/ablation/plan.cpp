#include "ablation/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "ablation/lab_data.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "base/sha256.h"
#include "config/serialize.h"
#include "tasks/host/recipe_files.h"

namespace vicha {
namespace {

/// "1/4" -> "1of4"; what no folder's name should have becomes '_'.
std::string plain_value(const std::string& value) {
  std::string plain;
  for (const char c : value) {
    const bool fine =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    plain += fine ? std::string(1, c) : c == '/' ? "of" : "_";
  }
  return plain.substr(0, 40);
}

std::string file_digest(const fs::path& file) {
  std::error_code failed;
  if (!fs::is_regular_file(file, failed)) return "missing";  // whoever trains on it says so
  std::ifstream in = open_input(file);
  Sha256 sha;
  std::string piece(1 << 16, '\0');
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())), in.gcount() > 0) {
    sha.update(std::string_view(piece).substr(0, static_cast<std::size_t>(in.gcount())));
  }
  return sha.hex();
}

class Planner {
 public:
  Planner(const Lab& lab, std::string file) : lab_(lab), file_(std::move(file)) {}

  LabPlan plan() {
    if (!lab_.concepts.source.empty()) source_refusal_ = refusal_of_source();
    for (const auto& [name, row] : lab_.rows) add_cells(name, row);
    for (PlannedRow& row : plan_.rows) row.baseline = baseline_of(row);
    for (const double seed : lab_.seeds) {
      for (PlannedRow& row : plan_.rows) row.runs.push_back(run_of(row, static_cast<std::int64_t>(seed)));
    }
    return std::move(plan_);
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& remedy) const {
    throw DataError(file_, what, remedy);
  }

  const LabAxis& axis(const std::string& name) const {
    return std::ranges::find(lab_.axes, name, [](const auto& axis) { return axis.first; })->second;
  }

  void add_cells(const std::string& name, const LabRow& row) {
    const std::string title = row.title.empty() ? name : row.title;
    std::vector<PlannedRow> cells = {{.name = name, .title = title, .row = name, .row_title = title}};
    for (const auto& [axis_name, axis] : lab_.axes) {
      if (!axis.rows.empty() && std::ranges::find(axis.rows, name) == axis.rows.end()) continue;
      std::vector<PlannedRow> crossed;
      for (const PlannedRow& cell : cells) {
        for (const std::string& value : axis.values) {
          PlannedRow& next = crossed.emplace_back(cell);
          next.name += fmt::format("-{}-{}", axis_name, plain_value(value));
          next.title += fmt::format(", {} {}", axis.title.empty() ? axis_name : axis.title, value);
          next.at.emplace_back(axis_name, value);
        }
      }
      cells = std::move(crossed);
    }
    for (PlannedRow& cell : cells) {
      const auto taken = [&](const PlannedRow& other) { return other.name == cell.name; };
      if (std::ranges::any_of(plan_.rows, taken)) {
        fail(fmt::format("two rows would be called '{}'", cell.name), "Rename a row or an axis");
      }
      plan_.rows.push_back(std::move(cell));
    }
  }

  std::size_t cell_at(const std::string& row, const std::vector<std::pair<std::string, std::string>>& at) const {
    for (std::size_t i = 0; i < plan_.rows.size(); ++i) {
      if (plan_.rows[i].row == row && plan_.rows[i].at == at) return i;
    }
    VICHA_ASSERT(false);
  }

  std::optional<std::size_t> baseline_of(const PlannedRow& cell) const {
    for (const auto& [name, value] : cell.at) {
      const std::string& standard = axis(name).baseline;
      if (standard.empty() || standard == value) continue;
      auto at = cell.at;
      std::ranges::find(at, std::pair(name, value))->second = standard;
      return cell_at(cell.row, at);
    }
    const LabRow& row = *lab_.find_row(cell.row);
    const std::string& name = row.baseline.empty() ? lab_.baseline : row.baseline;
    if (name == cell.row) return std::nullopt;
    std::vector<std::pair<std::string, std::string>> at;
    for (const auto& [axis_name, axis] : lab_.axes) {
      if (!axis.rows.empty() && std::ranges::find(axis.rows, name) == axis.rows.end()) continue;
      const auto own = std::ranges::find(cell.at, axis_name, [](const auto& pair) { return pair.first; });
      if (own == cell.at.end()) {
        fail(fmt::format("'axis.{}' multiplies the row '{}', but not '{}', which is compared with it", axis_name, name,
                         cell.row),
             fmt::format("Add '{}' to axis.{}.rows, or give it another baseline", cell.row, axis_name));
      }
      at.push_back(*own);
    }
    return cell_at(name, at);
  }

  /// The row, then those that it builds on.
  std::vector<const LabRow*> chain_of(const PlannedRow& cell) const {
    std::vector<const LabRow*> chain;
    for (const LabRow* row = lab_.find_row(cell.row); row != nullptr; row = lab_.find_row(row->on))
      chain.push_back(row);
    return chain;
  }

  std::size_t run_of(const PlannedRow& cell, std::int64_t seed) {
    const std::vector<const LabRow*> chain = chain_of(cell);
    std::string recipe = lab_.recipe, share;
    std::int64_t k = 0;
    std::vector<std::string> set = lab_.set;
    for (auto row = chain.rbegin(); row != chain.rend(); ++row) {
      if (!(*row)->recipe.empty()) recipe = (*row)->recipe;
      if (!(*row)->share.empty()) share = (*row)->share;
      if ((*row)->k > 0) k = (*row)->k;
      std::ranges::copy((*row)->set, std::back_inserter(set));
    }
    for (const auto& [name, value] : cell.at) {
      const std::string& key = axis(name).key;
      if (key == kShareKey) {
        share = value;
      } else if (key == kConceptsKey) {
        k = std::stoll(value);
      } else {
        set.push_back(key + "=" + value);
      }
    }
    if (lab_.budget.steps > 0) set.push_back(fmt::format("train.max_steps={}", lab_.budget.steps));
    set.push_back(fmt::format("train.seed={}", seed));
    if (recipe.empty()) {
      fail(fmt::format("the row '{}' has no recipe", cell.row), "Name one: recipe = \"../recipes/demo.toml\"");
    }
    if (!fs::exists(recipe))
      fail(fmt::format("the recipe '{}' is not there", printable(recipe)), "Recipes are relative to the lab");

    PlannedRun run{.name = fmt::format("{}-seed{}", cell.name, seed), .seed = seed};
    try {
      run.recipe = recipe_of(recipe, set);
      require_evaluated(**run.recipe);
      run.data = data_of(**run.recipe, share, k, seed);
      for (const std::string& manifest : (*run.recipe)->data.manifests) {
        std::error_code failed;
        if (!fs::exists(manifest, failed)) {
          throw DataError(manifest, "is not there", "Make it first, or name another: data.manifests");
        }
      }
    } catch (const Error& error) {
      run.recipe.reset();
      run.refusal = error.what();
      run.digest = sha256_hex(run.name + run.refusal);
    }
    if (run.recipe) run.digest = digest_of(run);
    const auto [known, is_new] = by_digest_.try_emplace(run.digest, plan_.runs.size());
    if (is_new) plan_.runs.push_back(std::move(run));
    return known->second;
  }

  static AnyOptions<TaskRecipe> recipe_of(const std::string& file, const std::vector<std::string>& set) {
    AnyOptions<TaskRecipe> recipe = load_task_recipe(file, set);
    if (!find_task_kind(recipe->task)->begin_training) {
      throw UsageError(
          fmt::format("{}: labs do not train the task '{}', which has a command of its own", file, recipe->task));
    }
    return recipe;
  }

  std::string refusal_of_source() const {
    try {
      require_concept_source(lab_.concepts);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  void require_evaluated(const TaskRecipe& recipe) const {
    const TaskKind* kind = find_task_kind(lab_.evaluation.task);
    if (kind == nullptr || kind->evaluates(recipe.task)) return;
    throw UsageError(
        fmt::format("'evaluation.task' is {}, and a model of the task '{}' is not evaluated so: name the task that the "
                    "recipe is of",
                    lab_.evaluation.task, recipe.task));
  }

  LabData data_of(const TaskRecipe& recipe, const std::string& share, std::int64_t k, std::int64_t seed) const {
    LabData data;
    if (!share.empty() && share_of_text(share, file_) < 1) {
      data.share = share;
      data.seed = seed;
    }
    if (recipe.data.concepts.enabled && !lab_.concepts.source.empty()) data.k = k > 0 ? k : lab_.concepts.k;
    if (data.k > 0 && !source_refusal_.empty()) throw UsageError("'concepts.source': " + source_refusal_);
    if (data.k > 0 && recipe.data.manifests.size() != 1) {
      throw UsageError(
          "[concepts]: the lab finds concepts of one manifest; join them (vicha data join), or give "
          "manifests with concepts and no [concepts] in the lab");
    }
    return data;
  }

  std::string digest_of(const PlannedRun& run) {
    nlohmann::ordered_json manifests = nlohmann::ordered_json::array();
    for (const std::string& name : (*run.recipe)->data.manifests) {
      const auto [known, is_new] = file_digests_.try_emplace(name);
      if (is_new) known->second = file_digest(name);
      manifests.push_back(known->second);
    }
    nlohmann::ordered_json json = {{"recipe", to_json(*run.recipe)}, {"manifests", std::move(manifests)}};
    if (lab_.budget.seconds > 0) json["budget"] = {lab_.budget.seconds, lab_.budget.trial_steps};
    if (!run.data.share.empty()) json["share"] = {run.data.share, run.data.seed};
    if (run.data.k > 0) {
      json["concepts"] = {run.data.k, lab_.concepts.source, lab_.concepts.image_tower, lab_.concepts.leave_out_group};
    }
    return sha256_hex(json_text(json));
  }

  const Lab& lab_;
  std::string file_;
  std::string source_refusal_;  ///< why no concepts come out of the lab's source; "" where they do
  LabPlan plan_;
  std::map<std::string, std::size_t> by_digest_;
  std::map<std::string, std::string> file_digests_;
};

}  // namespace

LabPlan plan_lab(const Lab& lab, const std::string& file) { return Planner(lab, file).plan(); }

}  // namespace vicha
