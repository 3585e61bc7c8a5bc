// The colour world with a recipe in a file and labs on it.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ablation/lab_run.h"
#include "ablation/plan.h"
#include "tasks/pretrain/colour_world_test.h"

namespace vicha {

class AblationWorld : public ColourWorld {
 protected:
  void SetUp() override {
    ColourWorld::SetUp();
    PretrainRecipe r = recipe();
    r.finish();
    write_file_atomic(folder_ / "recipe.toml", to_toml(r, {.only_changes = true}));
  }

  /// What all labs of these tests say, then `rows`.
  fs::path write_lab(const std::string& rows, const std::string& head = "seeds = [1, 2]") const {
    const fs::path file = folder_ / "lab.toml";
    write_file_atomic(file, fmt::format(R"(recipe = "recipe.toml"
{}
[budget]
steps = 4
[evaluation]
manifest = "{}"
set = ["k_test=4"]
{})",
                                        head, (folder_ / "test.json").string(), rows));
    return file;
  }

  LabPlan plan(const std::string& rows) const {
    const fs::path file = write_lab(rows);
    return plan_lab(load_lab(file), file.string());
  }

  LabResult run_rows(const std::string& rows, bool resume = true) const {
    return run_lab({.lab = write_lab(rows), .out = folder_ / "lab", .resume = resume, .device = "cpu"});
  }

  nlohmann::json table() const { return nlohmann::json::parse(read_file(folder_ / "lab/table.json")); }

  /// When the run's model was last written.
  fs::file_time_type trained_at(const std::string& run) const {
    return fs::last_write_time(folder_ / "lab/runs" / run / "checkpoints/step-000004/model.safetensors");
  }
};

}  // namespace vicha
