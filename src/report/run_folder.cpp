#include "report/run_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_depth.h"

namespace vicha {
namespace {

using Json = nlohmann::ordered_json;  // the order of the losses is the recipe's

constexpr const char* kDamagedMetrics =
    "The file was changed or damaged; restore it, or resume the run, which repairs its end";
constexpr const char* kDamagedEvaluations = "The file was changed or damaged; remove the line, or the file";
constexpr const char* kEvaluateAgain = "Write it again: vicha eval retrieval CHECKPOINT MANIFEST --out FILE";

/// A JSON object and where it stands, for messages.
struct Record {
  const Json& json;
  std::string where;
  const char* remedy;

  [[noreturn]] void fail(std::string_view what) const { throw DataError(where, what, remedy); }
  const Json* find(const char* key) const {
    const auto at = json.find(key);
    return at == json.end() || at->is_null() ? nullptr : &*at;
  }
  /// The field, which must be there and pass `is`.
  const Json& field(const char* key, bool (Json::*is)() const noexcept, const char* kind) const {
    const Json* value = find(key);
    if (value == nullptr) fail(fmt::format("the field '{}' is missing", key));
    if (!(value->*is)()) fail(fmt::format("the field '{}' is not {}", key, kind));
    return *value;
  }
  double number(const char* key) const { return field(key, &Json::is_number, "a number").get<double>(); }
  std::int64_t integer(const char* key) const {
    return field(key, &Json::is_number_integer, "an integer").get<std::int64_t>();
  }
  std::string text(const char* key) const { return field(key, &Json::is_string, "a text").get<std::string>(); }
  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> out;
    for (const Json& item : field(key, &Json::is_array, "a list")) {
      if (!item.is_string()) fail(fmt::format("the field '{}' is not a list of texts", key));
      out.push_back(item.get<std::string>());
    }
    return out;
  }
  Record object(const char* key) const {
    return {field(key, &Json::is_object, "an object"), where + ", " + key, remedy};
  }
};

/// Calls `use` with each line that is a JSON object. Only a last line without its end may be anything else.
void for_each_line(const fs::path& path, const char* remedy, const std::function<void(const Record&)>& use) {
  if (!fs::exists(path)) throw DataError(path.string(), "cannot be opened", remedy);
  std::ifstream file = open_input(path);
  std::string line;
  for (std::int64_t number = 1; std::getline(file, line); ++number) {
    const bool whole = !file.eof();
    if (line.empty()) continue;
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const std::string where = fmt::format("{}, line {}", path.string(), number);
    if (json.is_object()) {
      use({json, where, remedy});
    } else if (whole) {
      throw DataError(where, "is not a JSON object", remedy);
    }
  }
  if (file.bad()) throw DataError(path.string(), "cannot be read", remedy);
}

void append(Curve& curve, std::int64_t step, const Json* value) {
  if (value == nullptr || !value->is_number()) return;
  const double y = value->get<double>();
  if (std::isfinite(y)) curve.push_back({static_cast<double>(step), y});
}

void append(std::vector<RunMetrics::NamedCurve>& curves, std::int64_t step, const Json& values) {
  for (const auto& [name, value] : values.items()) {
    auto at = std::find_if(curves.begin(), curves.end(), [&](const auto& curve) { return curve.first == name; });
    if (at == curves.end()) at = curves.insert(at, {name, {}});
    append(at->second, step, &value);
  }
}

Recalls read_recalls(const Record& record) { return {record.number("r1"), record.number("r5"), record.number("r10")}; }

RetrievalMetrics read_both_ways(const Record& record) {
  return {.text = read_recalls(record.object("image_to_text")), .image = read_recalls(record.object("text_to_image"))};
}

std::optional<RetrievalMetrics> read_both_ways(const Record& record, const char* key) {
  if (record.find(key) == nullptr) return std::nullopt;
  return read_both_ways(record.object(key));
}

/// Evaluations that were written before there was a choice are the paper's.
std::string read_ranking(const Record& record) {
  return record.find("ranking") != nullptr ? record.text("ranking") : "matching";
}

std::vector<RetrievalExample> read_examples(const Record& record, const char* key) {
  std::vector<RetrievalExample> out;
  if (record.find(key) == nullptr) return out;
  for (const Json& json : record.field(key, &Json::is_array, "a list")) {
    const Record example{json, fmt::format("{}, {}[{}]", record.where, key, out.size()), record.remedy};
    if (!json.is_object()) example.fail("is not an object");
    out.push_back({example.text("query"), example.texts("best"), example.texts("right"), example.integer("rank")});
  }
  return out;
}

/// A run that was stopped after an evaluation and resumed before it has evaluated twice: the later one counts.
template <class Evaluation>
std::vector<Evaluation> last_of_each_step(std::vector<Evaluation> all) {
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  std::vector<Evaluation> last;
  for (Evaluation& evaluation : all) {
    if (!last.empty() && last.back().step == evaluation.step) last.pop_back();
    last.push_back(std::move(evaluation));
  }
  return last;
}

void add_figures(const Json& json, const std::string& prefix, std::vector<std::pair<std::string, double>>& figures,
                 std::size_t levels = kMostJsonLevels) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_object() && levels > 0) add_figures(value, prefix + key + ".", figures, levels - 1);
    if (value.is_number() && std::isfinite(value.get<double>())) figures.emplace_back(prefix + key, value);
  }
}

RunFigures figures_of(const Record& record) {
  RunFigures found;
  add_figures(record.json, "", found.figures);
  std::erase_if(found.figures, [](const auto& figure) { return figure.first == "step"; });
  if (record.find("manifest") != nullptr) found.manifest = record.text("manifest");
  if (record.find("checkpoint") != nullptr) found.checkpoint = record.text("checkpoint");
  return found;
}

}  // namespace

RunMetrics read_run_metrics(const fs::path& file) {
  if (!fs::exists(file)) {
    throw DataError(file.string(), "is missing: there is nothing to report",
                    "Give the folder that vicha pretrain RECIPE --out (or vicha align) wrote to");
  }
  RunMetrics metrics;
  for_each_line(file, kDamagedMetrics, [&](const Record& record) {
    const std::int64_t step = record.integer("step");
    if (step <= metrics.steps) record.fail(fmt::format("step {} comes after step {}", step, metrics.steps));
    metrics.steps = step;
    if (record.find("epoch") != nullptr) metrics.epoch = record.integer("epoch");
    if (record.find("skipped") != nullptr) metrics.skipped = record.integer("skipped");
    if (record.find("seconds") != nullptr) metrics.seconds = record.number("seconds");
    append(metrics.lr, step, record.find("lr"));
    append(metrics.samples_per_s, step, record.find("samples_per_s"));
    append(metrics.data_wait, step, record.find("data_wait"));
    append(metrics.losses, step, record.object("losses").json);
    if (record.find("measures") != nullptr) append(metrics.measures, step, record.object("measures").json);
  });
  if (metrics.steps == 0) {
    throw DataError(file.string(), "holds no step yet", "Wait for the run's first steps, or start it again");
  }
  return metrics;
}

std::vector<RunEvaluation> read_run_evaluations(const fs::path& file) {
  std::vector<RunEvaluation> out;
  for_each_line(file, kDamagedEvaluations, [&](const Record& record) {
    out.push_back({record.integer("step"), record.find("manifest") != nullptr ? record.text("manifest") : "",
                   read_ranking(record), read_both_ways(record), read_both_ways(record, "itc")});
  });
  return last_of_each_step(std::move(out));
}

RunRetrieval read_run_retrieval(const fs::path& file) {
  const Json json = Json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  const Record record{json, file.string(), kEvaluateAgain};
  if (!json.is_object()) record.fail("is not a JSON object");
  RunRetrieval out;
  out.ranking = read_ranking(record);
  out.reranked = read_both_ways(record);
  out.itc = read_both_ways(record, "itc");
  out.matching = read_both_ways(record, "matching");
  out.joint = read_both_ways(record, "joint");
  out.chance = read_both_ways(record, "chance");
  const auto integer = [&](const char* key) { return record.find(key) != nullptr ? record.integer(key) : 0; };
  out.images = integer("images");
  out.captions = integer("captions");
  out.k_test = integer("k_test");
  out.pairs = integer("pairs");
  if (record.find("seconds") != nullptr) out.seconds = record.number("seconds");
  if (record.find("manifest") != nullptr) out.manifest = record.text("manifest");
  if (record.find("checkpoint") != nullptr) out.checkpoint = record.text("checkpoint");
  out.text_queries = read_examples(record, "text_queries");
  out.image_queries = read_examples(record, "image_queries");
  return out;
}

bool holds_retrieval(const fs::path& file) {
  const Json json = Json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("text_to_image");
}

const double* RunFigures::find(std::string_view key) const {
  const auto at = std::ranges::find_if(figures, [&](const auto& figure) { return figure.first == key; });
  return at == figures.end() ? nullptr : &at->second;
}

RunFigures read_run_figures(const fs::path& file) {
  const Json json = Json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  const Record record{json, file.string(), "Write it again: vicha eval TASK CHECKPOINT MANIFEST --out FILE"};
  if (!json.is_object()) record.fail("is not a JSON object");
  return figures_of(record);
}

std::vector<RunFiguresAt> read_run_figures_along(const fs::path& file) {
  std::vector<RunFiguresAt> out;
  for_each_line(file, kDamagedEvaluations, [&](const Record& record) {
    out.push_back({record.integer("step"), figures_of(record)});
  });
  return last_of_each_step(std::move(out));
}

}  // namespace vicha
