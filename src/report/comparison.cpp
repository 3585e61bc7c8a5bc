#include "report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "config/serialize.h"
#include "report/run_folder.h"
#include "report/statistics.h"
#include "tasks/host/recipe_files.h"
#include "tasks/retrieval/retrieval.h"
#include "train/checkpoint_folder.h"
#include "train/config_changes.h"

namespace vicha {
namespace {

MetricsSpread spread(const std::vector<RetrievalMetrics>& runs) {
  MetricsSpread result;
  for_each_recall([&](auto way, auto at) {
    std::vector<double> values;
    for (const RetrievalMetrics& run : runs) values.push_back((run.*way).*at);
    const SeedSpread found = spread_over_seeds(values);
    (result.mean.*way).*at = found.mean;
    (result.deviation.*way).*at = found.deviation;
    (result.margin.*way).*at = found.interval ? (found.interval->high - found.interval->low) / 2 : 0.0;
  });
  return result;
}

MetricsSpread gain(const std::vector<RetrievalMetrics>& runs, const std::vector<RetrievalMetrics>& base) {
  std::vector<RetrievalMetrics> differences = runs;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for_each_recall([&](auto way, auto at) { (differences[i].*way).*at -= (base[i].*way).*at; });
  }
  return spread(differences);
}

/// What the runs of one group found.
struct GroupResults {
  std::vector<RetrievalMetrics> reranked, itc;
  std::string config;  ///< of the first run's last checkpoint; "" where it has none
};

std::string config_of(const fs::path& run) {
  const std::vector<FoundCheckpoint> checkpoints = list_checkpoints(run);
  return checkpoints.empty() ? "" : read_file(checkpoints.back().path / "config.json");
}

std::vector<std::string> differences(const GroupResults& first, const GroupResults& other) {
  std::vector<std::string> lines;
  if (first.config.empty() || other.config.empty()) return lines;
  std::vector<MovedKey> moved;
  for (const TaskKind& kind : task_kinds()) {
    if (kind.recipe) std::ranges::copy(moved_keys(*kind.recipe), std::back_inserter(moved));
  }
  const std::string defaults = to_json(default_recipe("pretrain"));
  for (const ConfigChange& change : config_changes(first.config, other.config, "config.json", moved, defaults)) {
    // Flattened lists come as "data.manifests.0".
    if (!matches_key(change.key,
                     {"train.seed", "init.", "data.manifests.", "data.image_root", "eval.", "log.", "checkpoint."})) {
      lines.push_back(change.description);
    }
  }
  return lines;
}

}  // namespace

RunGroup RunGroup::parse(std::string_view text) {
  RunGroup group;
  const std::size_t equals = text.find('=');
  if (equals != std::string_view::npos) group.name = text.substr(0, equals);
  std::string_view rest = equals == std::string_view::npos ? text : text.substr(equals + 1);
  while (true) {
    const std::size_t comma = rest.find(',');
    group.runs.emplace_back(rest.substr(0, comma));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  for (const fs::path& run : group.runs) {
    if (run.empty()) throw UsageError(fmt::format("'{}' names no run; write NAME=RUN,RUN or RUN", text));
  }
  if (equals == 0) throw UsageError(fmt::format("'{}' has an empty name; write NAME=RUN,RUN or RUN", text));
  if (group.name.empty())
    group.name = (fs::absolute(group.runs.front()) / "").lexically_normal().parent_path().filename();
  return group;
}

Comparison compare_runs(const std::vector<RunGroup>& groups) {
  Comparison result;
  std::vector<GroupResults> found;
  fs::path first_file;
  std::string ranking;
  for (const RunGroup& group : groups) {
    GroupResults& here = found.emplace_back();
    for (const fs::path& run : group.runs) {
      if (!fs::is_directory(run)) {
        throw DataError(run.string(), fs::exists(run) ? "is a file, not the folder of a run" : "is not there",
                        "Name a run's folder, in which eval.json lies");
      }
      const fs::path file = run / "eval.json";
      if (!fs::exists(file)) {
        throw DataError(file.string(), "is missing: runs are compared by their retrieval, and this one has none",
                        fmt::format("Make it: vicha eval retrieval {} MANIFEST --out {}", run.string(), file.string()));
      }
      if (!holds_retrieval(file) && !read_run_figures(file).figures.empty()) {
        throw DataError(file.string(),
                        "is the evaluation of another task: `vicha eval compare` compares retrieval alone",
                        "For other tasks `vicha ablate` compares runs, and `vicha report` shows one");
      }
      const RunRetrieval evaluation = read_run_retrieval(file);
      if (!evaluation.itc) {
        throw DataError(file.string(), "has no 'itc' (contrast alone)", "Write it again with vicha eval retrieval");
      }
      if (first_file.empty()) {
        first_file = file;
        ranking = evaluation.ranking;
        result.manifest = evaluation.manifest;
        result.images = evaluation.images;
        result.captions = evaluation.captions;
        if (evaluation.chance) result.chance = *evaluation.chance;
      } else if (evaluation.images != result.images || evaluation.captions != result.captions) {
        throw DataError(
            file.string(),
            fmt::format("is of {} pictures and {} captions, {} of {} and {}: other sets do not compare",
                        evaluation.images, evaluation.captions, first_file.string(), result.images, result.captions),
            "Evaluate all runs on one manifest");
      } else if (evaluation.ranking != ranking) {
        throw DataError(file.string(),
                        fmt::format("was ranked by {}, {} by {}", evaluation.ranking, first_file.string(), ranking),
                        "Evaluate all runs with one --ranking and --k-test");
      }
      here.reranked.push_back(evaluation.reranked);
      here.itc.push_back(*evaluation.itc);
    }
    here.config = config_of(group.runs.front());
    const GroupResults& first = found.front();
    Comparison::Group& row = result.groups.emplace_back();
    row.name = group.name;
    row.runs = static_cast<std::int64_t>(group.runs.size());
    row.reranked = spread(here.reranked);
    row.itc = spread(here.itc);
    if (found.size() > 1) {
      row.differences = differences(first, here);
      if (here.itc.size() == first.itc.size()) {
        row.reranked_gain = gain(here.reranked, first.reranked);
        row.itc_gain = gain(here.itc, first.itc);
      }
    }
  }
  return result;
}

std::string format_spread(double mean, double deviation, std::int64_t runs, bool sign) {
  std::string text = sign ? fmt::format("{:+.1f}", mean) : fmt::format("{:.1f}", mean);
  if (runs > 1) text += fmt::format(" ± {:.1f}", deviation);
  return text;
}

namespace {

/// Of a difference the margin of its mean stands behind it, of recalls their deviation.
std::string row(std::string_view name, const MetricsSpread& metrics, std::int64_t runs, bool difference = false) {
  std::string text = fmt::format("{:<34}", name);
  const RetrievalMetrics& behind = difference ? metrics.margin : metrics.deviation;
  for_each_recall([&](auto way, auto at) {
    const std::string cell = format_spread((metrics.mean.*way).*at, (behind.*way).*at, runs, difference);
    text += fmt::format("{:>13}", cell);  // fmt counts characters, not bytes
  });
  return text + "\n";
}

nlohmann::ordered_json json_of(const MetricsSpread& metrics) {
  return {
      {"mean", json_of(metrics.mean)}, {"deviation", json_of(metrics.deviation)}, {"margin", json_of(metrics.margin)}};
}

}  // namespace

std::string Comparison::to_table() const {
  std::string text = fmt::format("{:<34}{:^39}{:^39}\n{:<34}", "", "text -> image", "image -> text", "");
  for (int way = 0; way < 2; ++way) text += fmt::format("{:>13}{:>13}{:>13}", "R@1", "R@5", "R@10");
  text += "\n";
  for (const Group& group : groups) {
    const std::string runs = group.runs > 1 ? fmt::format(" ({} runs)", group.runs) : "";
    text += row(group.name + runs, group.reranked, group.runs);
    if (group.reranked_gain) text += row("  less the first", *group.reranked_gain, group.runs, true);
    text += row("  contrast alone", group.itc, group.runs);
    if (group.itc_gain) text += row("  less the first", *group.itc_gain, group.runs, true);
  }
  text += fmt::format("{} pictures, {} captions; percent, mean ± standard deviation over the runs\n", images, captions);
  if (std::ranges::any_of(groups, [](const Group& g) { return g.itc_gain && g.runs > 1; })) {
    text += "less the first: mean of the differences, run by run, ± half of Student's 95 % interval of that mean\n";
  }
  return text;
}

std::string Comparison::to_json() const {
  nlohmann::ordered_json json = {
      {"manifest", manifest}, {"images", images}, {"captions", captions}, {"chance", json_of(chance)}};
  for (const Group& group : groups) {
    nlohmann::ordered_json one = {{"name", group.name},
                                  {"runs", group.runs},
                                  {"reranked", json_of(group.reranked)},
                                  {"itc", json_of(group.itc)},
                                  {"differences", group.differences}};
    if (group.reranked_gain) one["reranked_gain"] = json_of(*group.reranked_gain);
    if (group.itc_gain) one["itc_gain"] = json_of(*group.itc_gain);
    json["groups"].push_back(std::move(one));
  }
  return json_text(json, 1);
}

}  // namespace vicha
