#include "report/report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <functional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "report/report_assets.h"
#include "report/sections.h"
#include "tasks/host/recipe_files.h"
#include "train/checkpoint_folder.h"
#include "train/device.h"

namespace vicha {
namespace {

template <class T>
Found<T> find(const std::string& absence, bool exists, const std::function<T()>& read) {
  if (!exists) return {std::nullopt, absence};
  try {
    return {read(), ""};
  } catch (const Error& error) {
    log::warning("report: {}", error.what());
    return {std::nullopt, error.what()};
  }
}

std::string date_of(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return "";
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(info.st_mtime));
}

/// The groups to compare, after the run itself unless one of them holds it.
std::vector<RunGroup> groups_with(const fs::path& run, const std::string& name, const std::vector<RunGroup>& compare) {
  std::vector<RunGroup> groups = compare;
  const bool there = std::ranges::any_of(compare, [&](const RunGroup& group) {
    return std::ranges::any_of(group.runs,
                               [&](const fs::path& other) { return fs::exists(other) && fs::equivalent(other, run); });
  });
  if (!there) groups.insert(groups.begin(), {name, {run}});
  return groups;
}

ReportData gather_run(const ReportOptions& options) {
  const fs::path run = options.run.lexically_normal();
  if (!fs::is_directory(run)) {
    throw DataError(run.string(), "is not a folder",
                    "Give the folder that vicha pretrain RECIPE --out (or vicha align) wrote to");
  }
  choose_device(options.device);  // a wrong name is the user's error, not an absence
  const fs::path metrics = run / "metrics.jsonl", eval = run / "eval.json", along = run / "evaluations.jsonl";
  ReportData data;
  data.run = run;
  data.name = fs::absolute(run / "").lexically_normal().parent_path().filename().string();
  data.metrics = read_run_metrics(metrics);
  data.date = date_of(metrics);
  const std::vector<FoundCheckpoint> checkpoints = list_checkpoints(run);
  const std::string no_checkpoint = fmt::format(
      "The run has no checkpoint: vicha pretrain RECIPE --out {} writes one every checkpoint.every_steps steps and at "
      "its end.",
      run.string());
  const bool saved = !checkpoints.empty();
  data.recipe = find<AnyOptions<TaskRecipe>>(no_checkpoint, saved,
                                             [&] { return load_task_recipe(checkpoints.back().path / "recipe.toml"); });
  data.kind = data.recipe.value ? find_task_kind((*data.recipe.value)->task) : nullptr;
  data.task_title = data.kind != nullptr ? data.kind->title : "training";
  data.task_title[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(data.task_title[0])));
  // What stands on towers has no encoders to load, and nothing of the page needs them.
  if (data.kind == nullptr || data.kind->make_model) {
    data.loaded =
        find<LoadedModel>(no_checkpoint, saved, [&] { return load_trained(checkpoints.back().path, options.device); });
  }
  data.by_retrieval = data.kind == nullptr || !data.kind->evaluate || (fs::exists(eval) && holds_retrieval(eval));
  if (!data.by_retrieval) {
    data.figures = find<RunFigures>(
        fmt::format("The run has not been evaluated: vicha eval {1} {0} MANIFEST --out {0}/eval.json does it.",
                    run.string(), data.kind->key),
        fs::exists(eval), [&] { return read_run_figures(eval); });
    data.figures_along =
        find<std::vector<RunFiguresAt>>("", fs::exists(along), [&] { return read_run_figures_along(along); });
    return data;
  }
  data.evaluations = find<std::vector<RunEvaluation>>(
      "The run was not evaluated along the way: give its recipe eval.manifest, and each checkpoint is.",
      fs::exists(along), [&] { return read_run_evaluations(along); });
  data.retrieval = find<RunRetrieval>(
      fmt::format("The run has not been evaluated: vicha eval retrieval {0} MANIFEST --out {0}/eval.json does it.",
                  run.string()),
      fs::exists(eval), [&] { return read_run_retrieval(eval); });
  return data;
}

ReportData gather(const ReportOptions& options) {
  ReportData data = gather_run(options);
  if (!options.compare.empty()) data.comparison = compare_runs(groups_with(data.run, data.name, options.compare));
  return data;
}

void write_page(Html& html, ReportData& data) {
  html.raw("<!DOCTYPE html>\n");
  const auto root = html.element("html", {{"lang", "en"}});
  {
    const auto head = html.element("head");
    html.empty("meta", {{"charset", "utf-8"}});
    html.empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
    // Whatever a caption holds, the browser loads nothing.
    html.empty("meta", {{"http-equiv", "Content-Security-Policy"},
                        {"content",
                         "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                         "base-uri 'none'; form-action 'none'"}});
    html.leaf("title", {}, fmt::format("{} – ViCHA {}", data.name, data.task_title));
    const auto style = html.element("style");
    html.raw(embedded::report_css());
  }
  const auto body = html.element("body");
  {
    const auto main = html.element("main");
    write_summary(html, data);
    write_curves(html, data);
    if (data.by_retrieval) {
      write_evaluations(html, data);
      write_retrieval(html, data);
    } else {
      write_figures(html, data);
    }
    write_comparison(html, data);
    if (data.by_retrieval) write_gallery(html, data);
    write_reconstructions(html, data);
  }
  html.leaf("footer", {}, "Written by vicha report. This page holds everything it shows.");
  const auto script = html.element("script");
  html.raw(embedded::report_js());
}

}  // namespace

std::string format_percent(double value) { return fmt::format("{:.{}f}", value, value != 0 && value < 1 ? 2 : 1); }

void write_absence(Html& html, const std::string& problem) { html.leaf("p", {{"class", "absent"}}, problem); }

fs::path write_report(const ReportOptions& options) {
  ReportData data = gather(options);
  const fs::path output = options.output.empty() ? data.run / "report.html" : options.output;
  Html html;
  write_page(html, data);
  write_file_atomic(output, html.str());
  return output;
}

}  // namespace vicha
