// The table of a lab as text and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "ablation/lab_table.h"
#include "base/json_text.h"
#include "base/printable.h"
#include "base/progress.h"
#include "config/serialize.h"

namespace vicha {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson json_of(const std::optional<Interval>& interval) {
  return interval ? OrderedJson{interval->low, interval->high} : OrderedJson(nullptr);
}

OrderedJson json_of(const SeedSpread& spread) {
  if (spread.count == 0) return nullptr;
  return {{"mean", spread.mean},
          {"deviation", spread.deviation},
          {"interval", json_of(spread.interval)},
          {"runs", spread.count}};
}

OrderedJson json_of(const MeasuredRow::Cell& cell) {
  OrderedJson json = {{"values", OrderedJson::array()},
                      {"mean", nullptr},
                      {"deviation", nullptr},
                      {"interval", json_of(cell.spread.interval)},
                      {"difference", nullptr}};
  for (const auto& value : cell.values) json["values"].push_back(value ? OrderedJson(*value) : OrderedJson(nullptr));
  if (cell.spread.count > 0) {
    json["mean"] = cell.spread.mean;
    json["deviation"] = cell.spread.deviation;
  }
  if (cell.difference) {
    json["difference"] = json_of(cell.difference->seeds);
    json["difference"]["bootstrap"] = json_of(cell.difference->queries);
  }
  return json;
}

/// Padded by what is seen, as fmt counts it.
std::string padded(const std::string& text, std::size_t width, bool left = false) {
  return left ? fmt::format("{:<{}}", text, width) : fmt::format("{:>{}}", text, width);
}

/// "text → picture R@1" in two lines of a heading.
std::pair<std::string, std::string> heading_of(const Measure& measure) {
  const std::size_t space = measure.title.rfind(' ');
  if (space == std::string::npos) return {"", measure.title};
  std::string above = measure.title.substr(0, space);
  if (above.size() > 18) {  // "text → picture": initials are enough
    for (const auto& [words, letters] : {std::pair("text → picture", "t→p"), std::pair("picture → text", "p→t")}) {
      if (const std::size_t at = above.find(words); at != std::string::npos)
        above.replace(at, std::string(words).size(), letters);
    }
  }
  return {above, measure.title.substr(space + 1)};
}

std::string millions(std::int64_t count) { return fmt::format("{:.1f} M", static_cast<double>(count) / 1e6); }

}  // namespace

std::string LabTable::to_text() const {
  constexpr std::size_t kCell = 15;
  std::size_t name_width = 24;
  for (const MeasuredRow& row : rows) name_width = std::max(name_width, printable(row.plan.title).size() + 2);
  std::string text = lab.title.empty() ? "" : printable(lab.title) + "\n", above = padded("", name_width, true),
              below = above;
  for (const Measure& measure : measures) {
    const auto [first, second] = heading_of(measure);
    above += padded(printable(first), kCell);
    below += padded(printable(second), kCell);
  }
  text += above + fmt::format("{:>14}{:>12}{:>11}\n", "", "", "numbers");
  text += below + fmt::format("{:>14}{:>12}{:>11}\n", "time", "samples/s", "learned");
  for (const MeasuredRow& row : rows) {
    text += padded(printable(row.plan.title), name_width, true);
    for (const MeasuredRow::Cell& cell : row.cells) {
      const SeedSpread& spread = cell.spread;
      text += padded(spread.count == 0  ? "–"
                     : spread.count > 1 ? fmt::format("{:.2f} ± {:.2f}", spread.mean, spread.deviation)
                                        : fmt::format("{:.2f}", spread.mean),
                     kCell);
    }
    if (row.seconds.count > 0) {
      text += fmt::format("{:>14}{:>12.0f}{:>11}", format_duration(row.seconds.mean), row.samples_per_s.mean,
                          millions(row.parameters));
    }
    text += "\n";
    if (const MeasuredRow* baseline = baseline_of(row); baseline != nullptr && row.seconds.count > 0) {
      std::string less = padded(fmt::format("  less {}", printable(baseline->plan.title)), name_width, true);
      for (const MeasuredRow::Cell& cell : row.cells) {
        if (!cell.difference) {
          less += padded("–", kCell);
          continue;
        }
        const SeedSpread& difference = cell.difference->seeds;
        less += padded(difference.interval ? fmt::format("{:+.2f} ± {:.2f}", difference.mean,
                                                         difference.interval->high - difference.mean)
                                           : fmt::format("{:+.2f}", difference.mean),
                       kCell);
      }
      text += less + "\n";
    }
    for (const MeasuredRow::Failure& failure : row.failures) {
      text += fmt::format("  seed {} failed: {}\n", failure.seed, failure.reason);
    }
    if (row.missing > 0)
      text += fmt::format("  {} of {} runs are still to be done\n", row.missing, row.plan.runs.size());
  }
  return text + fmt::format(
                    "Mean ± standard deviation over {} seed{}; below: the mean of the paired differences ± half of "
                    "Student's 95 % interval over the seeds. {}\n",
                    lab.seeds.size(), lab.seeds.size() == 1 ? "" : "s", printable(lab.evaluation.manifest));
}

std::string LabTable::to_json() const {
  OrderedJson json = {{"title", lab.title}, {"complete", is_complete()}};
  json["lab"] = OrderedJson::parse(vicha::to_json(lab));
  for (const Measure& measure : measures) json["measures"].push_back({{"key", measure.key}, {"title", measure.title}});
  json["rows"] = OrderedJson::array();
  for (const MeasuredRow& row : rows) {
    const MeasuredRow* baseline = baseline_of(row);
    OrderedJson one = {{"name", row.plan.name}, {"title", row.plan.title}, {"axes", OrderedJson::object()}};
    for (const auto& [axis, value] : row.plan.at) one["axes"][axis] = value;
    one["baseline"] = baseline != nullptr ? OrderedJson(baseline->plan.name) : OrderedJson(nullptr);
    one["runs"] = row.folders;
    one["missing"] = row.missing;
    one["failures"] = OrderedJson::array();
    for (const auto& failure : row.failures) {
      one["failures"].push_back({{"seed", failure.seed}, {"reason", failure.reason}});
    }
    for (std::size_t m = 0; m < measures.size(); ++m) one["measures"][measures[m].key] = json_of(row.cells[m]);
    one["seconds"] = json_of(row.seconds);
    one["samples_per_s"] = json_of(row.samples_per_s);
    one["steps"] = json_of(row.steps);
    one["parameters"] = row.parameters;
    json["rows"].push_back(std::move(one));
  }
  return json_text(json, 1);
}

}  // namespace vicha
