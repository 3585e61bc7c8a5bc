#include "ablation/lab_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <new>
#include <nlohmann/json.hpp>

#include "ablation/lab_data.h"
#include "ablation/lab_page.h"
#include "ablation/lab_table.h"
#include "ablation/plan.h"
#include "ablation/run_record.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "config/serialize.h"
#include "data/pipeline/loader.h"
#include "tasks/host/training.h"
#include "train/run_lock.h"

namespace vicha {
namespace {

/// How far a run is, by what lies in its folder.
enum class RunStage { kRefused, kNew, kBegun, kChanged, kTrained, kFailed, kForeign, kDone };

/// That its records can be read, before hours of training: known of sets of captions without a model.
void require_evaluation_set(const Lab& lab, const LabPlan& plan) {
  const TaskKind& kind = *find_task_kind(lab.evaluation.task);
  const auto run = std::ranges::find_if(plan.runs, [](const PlannedRun& one) { return one.recipe.has_value(); });
  if (kind.schema || run == plan.runs.end()) return;
  EvaluateCommand command;
  command.manifest = lab.evaluation.manifest;
  load_manifests(command.data((*run->recipe)->data));
}

/// What is known before anything is trained.
struct OpenLab {
  Lab lab;
  LabPlan plan;
  std::vector<Measure> measures;
  std::string evaluation;  ///< digest

  explicit OpenLab(const fs::path& file) : lab(load_lab(file)) {
    measures = measures_of(lab.evaluation);
    evaluation = evaluation_digest(lab.evaluation);
    plan = plan_lab(lab, file.string());
    require_evaluation_set(lab, plan);
  }
};

fs::path folder_of(const fs::path& out, const PlannedRun& run) { return out / "runs" / run.name; }

bool has_checkpoints(const fs::path& run) {
  std::error_code failed;
  return fs::exists(run / "checkpoints", failed);
}

RunStage stage_of(const OpenLab& open, const PlannedRun& run, const fs::path& folder) {
  if (!run.recipe) return RunStage::kRefused;
  const std::optional<RunRecord> record = RunRecord::read(folder);
  if (!record && RunRecord::is_there(folder)) return RunStage::kChanged;
  if (!record) return has_checkpoints(folder) ? RunStage::kForeign : RunStage::kNew;
  if (record->digest != run.digest) return RunStage::kChanged;
  if (!record->failure.empty()) return RunStage::kFailed;
  if (!record->trained) return RunStage::kBegun;
  if (record->evaluation == open.evaluation && evaluation_is_whole(folder)) return RunStage::kDone;
  return has_checkpoints(folder) ? RunStage::kTrained : RunStage::kChanged;
}

/// Of an exception that ended a run: one line that a table can hold.
std::string reason_of(const std::exception& error) {
  const std::string text = error.what();
  return printable(text.substr(0, text.find('\n')));
}

/// Rows whose recipes are refused, and why: one text for all rows of one reason, as all seeds of a row have one.
std::vector<std::string> refusals_of(const LabPlan& plan) {
  std::vector<std::pair<std::string, std::vector<std::string>>> rows_by_reason;
  for (const PlannedRow& row : plan.rows) {
    const auto refused = std::ranges::find_if(row.runs, [&](std::size_t run) { return !plan.runs[run].recipe; });
    if (refused == row.runs.end()) continue;
    const std::string reason = printable(plan.runs[*refused].refusal);
    auto known = std::ranges::find(rows_by_reason, reason, [](const auto& pair) { return pair.first; });
    if (known == rows_by_reason.end()) known = rows_by_reason.insert(known, {reason, {}});
    known->second.push_back(fmt::format("'{}'", row.name));
  }
  std::vector<std::string> refusals;
  for (const auto& [reason, rows] : rows_by_reason) {
    refusals.push_back(fmt::format("{} {}: {}", rows.size() == 1 ? "row" : "rows", fmt::join(rows, ", "), reason));
  }
  return refusals;
}

class LabRunner {
 public:
  LabRunner(const LabCommand& command, OpenLab open) : command_(command), open_(std::move(open)) {}

  LabResult run() {
    LabResult result;
    result.runs = static_cast<std::int64_t>(open_.plan.runs.size());
    if (!command_.resume) {
      for (const PlannedRun& run : open_.plan.runs) {
        const fs::path folder = folder_of(command_.out, run);
        if (RunRecord::is_there(folder)) fs::remove_all(folder);  // what a lab has made, and nothing else
      }
      fs::remove(command_.out / "lengths.json");
    }
    for (std::size_t i = 0; i < open_.plan.runs.size() && !result.stopped; ++i) {
      if (stage(i) == RunStage::kDone) continue;
      announce(i);
      result.stopped = !bring_to_end(i);
      if (!result.stopped) write_table();
    }
    const LabTable table = write_table();
    for (std::size_t i = 0; i < open_.plan.runs.size(); ++i) {
      const RunStage now = stage(i);
      result.failed += now == RunStage::kFailed || now == RunStage::kForeign || (now == RunStage::kDone && lacks(i));
    }
    result.table = table.to_text();
    return result;
  }

 private:
  RunStage stage(std::size_t i) const {
    const PlannedRun& run = open_.plan.runs[i];
    return stage_of(open_, run, folder_of(command_.out, run));
  }

  /// Whether an evaluation that is whole has not all that the table needs; says so.
  bool lacks(std::size_t i) const {
    try {
      read_figures(folder_of(command_.out, open_.plan.runs[i]), open_.measures);
      return false;
    } catch (const DataError& error) {
      log::error("{}", error.what());
      return true;
    }
  }

  void announce(std::size_t i) const {
    const PlannedRun& run = open_.plan.runs[i];
    const std::string left = time_left(i);
    log::info("run {} of {}: {}{}", i + 1, open_.plan.runs.size(), run.name,
              left.empty() ? "" : fmt::format("; about {} left", left));
  }

  /// By the runs of the same row, or else of all rows, that are done.
  std::string time_left(std::size_t from) const {
    std::vector<double> known(open_.plan.runs.size(), -1);
    double sum = 0, count = 0;
    for (std::size_t i = 0; i < known.size(); ++i) {
      const auto record = RunRecord::read(folder_of(command_.out, open_.plan.runs[i]));
      if (!record || !record->trained || record->evaluation.empty()) continue;
      known[i] = record->seconds + record->evaluation_seconds;
      sum += known[i];
      ++count;
    }
    if (count == 0) return "";
    double left = 0;
    for (std::size_t i = from; i < known.size(); ++i) {
      const RunStage now = stage(i);
      if (now == RunStage::kDone) continue;
      double own = sum / count;
      for (const PlannedRow& row : open_.plan.rows) {
        if (std::ranges::find(row.runs, i) == row.runs.end()) continue;
        for (const std::size_t other : row.runs) {
          if (known[other] >= 0) own = known[other];
        }
      }
      left += own;
    }
    return format_duration(left);
  }

  /// False: a signal stopped it.
  bool bring_to_end(std::size_t i) {
    PlannedRun& run = open_.plan.runs[i];
    const fs::path folder = folder_of(command_.out, run);
    try {
      return train_and_evaluate(run, folder);
    } catch (const std::bad_alloc&) {
      note_failure(run, folder, "out of memory. Use a smaller batch, picture or cache");
    } catch (const std::exception& error) {
      note_failure(run, folder, reason_of(error));
    }
    return true;
  }

  void note_failure(const PlannedRun& run, const fs::path& folder, const std::string& reason) {
    log::error("{} failed: {}", run.name, reason);
    RunRecord record = RunRecord::read(folder).value_or(RunRecord{.digest = run.digest});
    record.digest = run.digest;
    record.failure = reason;
    if (stage_of(open_, run, folder) != RunStage::kForeign) record.write(folder);
    failures_[run.name] = reason;
  }

  bool train_and_evaluate(PlannedRun& run, const fs::path& folder) {
    std::optional<RunRecord> record = RunRecord::read(folder);
    if (!record && RunRecord::is_there(folder)) {
      log::warning("{}: its ablation.json is damaged; it is done again", run.name);
      fs::remove_all(folder);
    }
    if (!record && has_checkpoints(folder)) {
      throw DataError(folder.string(), "holds a run that this lab knows nothing of",
                      "Move it away, or name another --out");
    }
    const bool evaluated = record && record->evaluation == open_.evaluation && evaluation_is_whole(folder);
    const bool lost = record && record->trained && !evaluated && !has_checkpoints(folder);
    if ((record && record->digest != run.digest) || lost) {
      log::info("{}: {}; it is done again", run.name,
                lost ? "it is to be evaluated again, and its model was not kept (keep_checkpoints)"
                     : "its recipe, budget or data have changed");
      fs::remove_all(folder);
      record.reset();
    }
    if (!record) record = RunRecord{.digest = run.digest};
    record->failure.clear();
    if (!record->trained) {
      record->write(folder);
      if (!train(run, folder, *record)) return false;
      record->write(folder);
    }
    const auto start = std::chrono::steady_clock::now();
    evaluate_run(folder, open_.lab.evaluation, command_.device);
    record->evaluation_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    record->evaluation = open_.evaluation;
    read_figures(folder, open_.measures);  // that it has them is known now, not when all runs are done
    record->write(folder);
    if (!open_.lab.keep_checkpoints) fs::remove_all(folder / "checkpoints");
    return true;
  }

  bool train(PlannedRun& run, const fs::path& folder, RunRecord& record) {
    TrainCommand train{
        .recipe = *run.recipe, .out = folder, .resume = {}, .device = command_.device, .known_texts = &known_texts_};
    if (open_.lab.budget.seconds > 0) {
      const std::int64_t steps = steps_for(run);
      if (steps == 0) return false;
      train.recipe->training.length.max_steps = steps;
    }
    make_lab_data(open_.lab, run.data, command_.out / "data", *train.recipe);
    train.recipe->finish();
    const RunResult result = train_task(train);
    if (!result.finished) return false;
    record.trained = true;
    record.steps = result.step;
    record.seconds = result.seconds;
    record.samples_per_s = rate(*train.recipe, result);
    record.parameters = trained_parameters(folder);
    return true;
  }

  static double rate(const TaskRecipe& recipe, const RunResult& result) {
    const auto samples =
        static_cast<double>(result.step * recipe.data.batch_size * recipe.training.optimizer.accumulate);
    return result.seconds > 0 ? samples / result.seconds : 0;
  }

  /// As many as fit into the budget's seconds, by a trial that all seeds of the recipe share; 0 if a signal stopped it.
  std::int64_t steps_for(const PlannedRun& run) {
    AnyOptions<TaskRecipe> recipe = *run.recipe;
    recipe->training.length.seed = 0;
    const std::string key = sha256_hex(fmt::format("{}\n{}\n{}\n{}\n{}", to_json(recipe), run.data.share, run.data.k,
                                                   open_.lab.budget.seconds, open_.lab.budget.trial_steps));
    const fs::path file = command_.out / "lengths.json";
    nlohmann::ordered_json lengths = nlohmann::ordered_json::object();
    if (fs::exists(file)) {
      go_on_with(file);
      try {
        lengths = nlohmann::ordered_json::parse(read_file(file));
      } catch (const nlohmann::json::exception&) {
        log::warning("{} is damaged: lengths are measured again", file.string());
      }
    }
    if (const auto known = lengths.find(key); known != lengths.end() && known->is_number_integer())
      return known->get<std::int64_t>();
    const fs::path folder = command_.out / "trials" / run.name;
    fs::remove_all(folder);
    TrainCommand trial{
        .recipe = *run.recipe, .out = folder, .resume = {}, .device = command_.device, .known_texts = &known_texts_};
    trial.recipe->training.length.max_steps = open_.lab.budget.trial_steps;
    make_lab_data(open_.lab, run.data, command_.out / "data", *trial.recipe);
    trial.recipe->finish();
    log::info("{}: a trial of {} steps tells how many fit into {}", run.name, open_.lab.budget.trial_steps,
              format_duration(open_.lab.budget.seconds));
    const RunResult result = train_task(trial);
    if (!result.finished) return 0;
    fs::remove_all(folder);
    const double a_step = std::max(1e-6, result.seconds / static_cast<double>(std::max<std::int64_t>(1, result.step)));
    const auto steps = std::max<std::int64_t>(1, static_cast<std::int64_t>(open_.lab.budget.seconds / a_step));
    lengths[key] = steps;
    write_file_atomic(file, json_text(lengths, 1) + "\n");
    return steps;
  }

  LabTable write_table() const {
    LabTable table = gather_table({open_.lab, open_.plan, open_.measures, open_.evaluation, failures_}, command_.out);
    write_file_atomic(command_.out / "table.json", table.to_json() + "\n");
    write_file_atomic(command_.out / "table.html", lab_page(table));
    return table;
  }

  const LabCommand& command_;
  OpenLab open_;
  KnownTexts known_texts_;                       ///< what the runs have found out about their captions
  std::map<std::string, std::string> failures_;  ///< of this command, by the run's name
};

std::string_view words_of(RunStage stage) {
  switch (stage) {
    case RunStage::kRefused:
      return "refused";
    case RunStage::kNew:
      return "to do";
    case RunStage::kBegun:
      return "begun";
    case RunStage::kChanged:
      return "changed, to do again";
    case RunStage::kTrained:
      return "trained, to evaluate";
    case RunStage::kFailed:
      return "failed, to try again";
    case RunStage::kForeign:
      return "in the way: not made by a lab";
    case RunStage::kDone:
      return "done";
  }
  VICHA_ASSERT(false);
}

std::string steps_of_recipe(const Lab& lab, const TaskRecipe& recipe) {
  if (lab.budget.seconds > 0) return fmt::format("{} of training", format_duration(lab.budget.seconds));
  const LengthOptions& length = recipe.training.length;
  return length.max_steps > 0 ? fmt::format("{} steps", length.max_steps) : fmt::format("{} epochs", length.epochs);
}

}  // namespace

LabResult run_lab(const LabCommand& command) {
  OpenLab open(command.lab);
  if (const auto refusals = refusals_of(open.plan); !refusals.empty()) {
    throw DataError(command.lab.string(), fmt::format("{}", fmt::join(refusals, "; ")),
                    "Nothing was trained: correct these rows first");
  }
  const RunLock lock(command.out);
  return LabRunner(command, std::move(open)).run();
}

LabListing list_lab(const LabCommand& command) {
  const OpenLab open(command.lab);
  std::string text = fmt::format("{:<44}{:>20}  {}\n", "run", "length", "state");
  std::int64_t to_do = 0, steps = 0;
  for (const PlannedRun& run : open.plan.runs) {
    const RunStage stage = stage_of(open, run, folder_of(command.out, run));
    text +=
        fmt::format("{:<44}{:>20}  {}\n", run.name, run.recipe ? steps_of_recipe(open.lab, **run.recipe) : "",
                    stage == RunStage::kRefused ? "refused: " + printable(run.refusal) : std::string(words_of(stage)));
    if (stage == RunStage::kDone || stage == RunStage::kTrained || !run.recipe) continue;
    ++to_do;
    steps += (*run.recipe)->training.length.max_steps;
  }
  text += fmt::format("{} rows, {} runs, {} to train", open.plan.rows.size(), open.plan.runs.size(), to_do);
  if (open.lab.budget.seconds > 0) {
    text +=
        fmt::format(": about {}, and trials", format_duration(static_cast<double>(to_do) * open.lab.budget.seconds));
  } else if (steps > 0) {
    text += fmt::format(": about {} steps in all", steps);
  }
  return {text + "\n", fmt::format("{}", fmt::join(refusals_of(open.plan), "\n"))};
}

}  // namespace vicha
