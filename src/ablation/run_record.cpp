#include "ablation/run_record.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_number.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/sha256.h"
#include "config/serialize.h"
#include "config/suggestion.h"
#include "tasks/host/model_files.h"
#include "tasks/retrieval/retrieval.h"

namespace vicha {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr const char* kRecordFile = "ablation.json";
constexpr const char* kWays[] = {"text_to_image", "image_to_text"};
constexpr const char* kQueries[] = {"text_queries", "image_queries"};
constexpr const char* kEvaluateAgain = "Repeat the lab: the run is evaluated again";
constexpr const char* kMeanRecall = "mean";
constexpr std::size_t kKeptExamples = 12;  // of each direction, for `vicha report`

bool is_retrieval(const LabEvaluation& evaluation) { return evaluation.task == "retrieval"; }

OrderedJson read_json(const fs::path& file) {
  try {
    return OrderedJson::parse(read_file(file));
  } catch (const nlohmann::json::exception& error) {
    throw DataError(file.string(), "is damaged: " + printable(json_reason(error.what())), kEvaluateAgain);
  }
}

std::map<std::string, std::vector<std::int64_t>> read_ranks(const fs::path& file) {
  const OrderedJson all = read_json(file);
  std::map<std::string, std::vector<std::int64_t>> ranks;
  try {
    for (const auto& [way, list] : all.items()) ranks[way] = list.get<std::vector<std::int64_t>>();
  } catch (const nlohmann::json::exception& error) {
    throw DataError(file.string(), "is damaged: " + printable(json_reason(error.what())), kEvaluateAgain);
  }
  return ranks;
}

/// The number at "a.b.c".
std::optional<double> number_at(const OrderedJson& json, const std::string& key) {
  const OrderedJson* at = &json;
  for (std::size_t from = 0; from <= key.size();) {
    const std::size_t dot = std::min(key.find('.', from), key.size());
    if (!at->is_object()) return std::nullopt;
    const auto found = at->find(key.substr(from, dot - from));
    if (found == at->end()) return std::nullopt;
    at = &*found;
    from = dot + 1;
  }
  if (!at->is_number()) return std::nullopt;
  return at->get<double>();
}

std::optional<double> mean_recall(const OrderedJson& json) {
  double sum = 0;
  for (const char* way : kWays) {
    for (const char* at : {"r1", "r5", "r10"}) {
      const auto value = number_at(json, fmt::format("{}.{}", way, at));
      if (!value) return std::nullopt;
      sum += *value / 6;
    }
  }
  return sum;
}

/// Takes the ranks of all queries out of the evaluation, and most of the examples, which are many.
OrderedJson take_ranks(OrderedJson& json) {
  OrderedJson ranks = OrderedJson::object();
  for (std::size_t way = 0; way < std::size(kWays); ++way) {
    OrderedJson& examples = json[kQueries[way]];
    OrderedJson kept = OrderedJson::array(), list = OrderedJson::array();
    for (const OrderedJson& example : examples) list.push_back(example.at("rank"));
    const std::size_t count = std::min(kKeptExamples, examples.size());
    for (std::size_t i = 0; i < count; ++i) kept.push_back(examples[i * examples.size() / count]);  // spread evenly
    ranks[kWays[way]] = std::move(list);
    examples = std::move(kept);
  }
  return ranks;
}

std::string title_of(const TaskKind& kind, const std::string& key) {
  if (key == kMeanRecall) return "mean recall";
  for (const Figure& figure : kind.figures) {
    if (figure.key == key) return figure.title;
  }
  std::string name = key, before;
  for (const auto& [part, words] :
       {std::pair("itc.", "contrast: "), std::pair("matching.", "matching: "), std::pair("joint.", "joint: ")}) {
    if (name.starts_with(part)) {
      name = name.substr(std::string(part).size());
      before = words;
    }
  }
  for (const auto& [way, words] :
       {std::pair("text_to_image.r", "text → picture R@"), std::pair("image_to_text.r", "picture → text R@")}) {
    if (name.starts_with(way)) return before + words + name.substr(std::string(way).size());
  }
  return key;
}

/// Before hours of training: a measure that no evaluation of this kind has. Where a kind says what its figures are,
/// those within an object ("types.colour") still depend on the records.
void require_figure(const TaskKind& kind, bool retrieval, const std::string& key) {
  std::vector<std::string> known;
  if (retrieval) {
    RetrievalResult matched;
    matched.k_test = 1;
    if (key == kMeanRecall || number_at(OrderedJson::parse(matched.to_json()), key)) return;
    known.emplace_back(kMeanRecall);
    for (const char* way : kWays) {
      for (const char* at : {"r1", "r5", "r10"}) known.push_back(fmt::format("{}.{}", way, at));
    }
  } else {
    if (kind.figures.empty() || key.find('.') != std::string::npos) return;
    for (const Figure& figure : kind.figures) {
      if (figure.key == key) return;
      if (figure.key.find('.') == std::string::npos) known.push_back(figure.key);
    }
  }
  throw UsageError(
      fmt::format("'evaluation.measures' names '{}', which an evaluation of the task '{}' does not find. "
                  "Nearest: '{}'; known: {}",
                  printable(key), kind.key, nearest_name(key, known), fmt::join(known, ", ")));
}

const TaskKind& kind_of(const LabEvaluation& evaluation) {
  const TaskKind* kind = find_task_kind(evaluation.task);
  if (kind != nullptr && kind->evaluate) return *kind;
  std::string known;
  for (const TaskKind& one : task_kinds()) {
    if (one.evaluate) known += (known.empty() ? "" : ", ") + one.key;
  }
  throw UsageError(fmt::format("'evaluation.task' is {}, which nothing is evaluated as: one of {}",
                               printable(evaluation.task), known));
}

}  // namespace

std::optional<RunRecord> RunRecord::read(const fs::path& run) {
  const fs::path file = run / kRecordFile;
  if (!fs::exists(file)) return std::nullopt;
  go_on_with(file);
  try {
    const auto json = OrderedJson::parse(read_file(file));
    RunRecord record;
    record.digest = json.at("digest").get<std::string>();
    record.trained = json.at("trained").get<bool>();
    record.evaluation = json.at("evaluation").get<std::string>();
    record.failure = json.at("failure").get<std::string>();
    record.steps = whole_number<std::int64_t>(json, "steps");
    record.parameters = whole_number<std::int64_t>(json, "parameters");
    record.seconds = json.at("seconds").get<double>();
    record.samples_per_s = json.at("samples_per_s").get<double>();
    record.evaluation_seconds = json.at("evaluation_seconds").get<double>();
    return record;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

bool RunRecord::is_there(const fs::path& run) {
  std::error_code failed;
  return fs::exists(run / kRecordFile, failed);
}

void RunRecord::write(const fs::path& run) const {
  const OrderedJson json = {{"digest", digest},
                            {"trained", trained},
                            {"evaluation", evaluation},
                            {"failure", failure},
                            {"steps", steps},
                            {"parameters", parameters},
                            {"seconds", seconds},
                            {"samples_per_s", samples_per_s},
                            {"evaluation_seconds", evaluation_seconds}};
  fs::create_directories(run);
  write_file_atomic(run / kRecordFile, json_text(json, 1) + "\n");
}

std::string evaluation_digest(const LabEvaluation& evaluation) {
  kind_of(evaluation);
  if (is_retrieval(evaluation)) {  // a wrong key is told of before hours of training
    RetrievalOptions options;
    apply_overrides(options, evaluation.set);
  }
  nlohmann::ordered_json json = {evaluation.task, evaluation.manifest, sha256_hex(read_file(evaluation.manifest)),
                                 evaluation.set};
  return sha256_hex(json_text(json));
}

void evaluate_run(const fs::path& run, const LabEvaluation& evaluation, const std::string& device) {
  EvaluateCommand command;
  command.checkpoint = run;
  command.manifest = evaluation.manifest;
  command.device = device;
  command.settings = evaluation.set;
  if (is_retrieval(evaluation)) command.settings.emplace_back("examples=1000000");
  const EvaluateResult result = evaluate_trained(kind_of(evaluation), command);
  auto json = OrderedJson::parse(result.json);
  if (is_retrieval(evaluation)) {
    go_on_with(run / "ranks.json");
    write_file_atomic(run / "ranks.json", json_text(take_ranks(json)) + "\n");
  }
  go_on_with(run / "eval.json");
  write_file_atomic(run / "eval.json", json_text(json, 1) + "\n");
}

std::int64_t trained_parameters(const fs::path& run) {
  const LoadedModel loaded = load_trained(run, "cpu");
  Vicha& model = loaded.vicha();
  for (const std::string& scope : loaded.recipe->freeze) model.freeze(scope);
  std::int64_t count = 0;
  for (const Parameter& parameter : model.parameters().parameters()) {
    if (!parameter.follower && parameter.value.requires_grad()) count += parameter.value.numel();
  }
  return count;
}

std::vector<Measure> measures_of(const LabEvaluation& evaluation) {
  const TaskKind& kind = kind_of(evaluation);
  std::vector<std::string> keys = evaluation.measures;
  if (keys.empty() && is_retrieval(evaluation)) {
    for (const char* way : kWays) {
      for (const char* at : {"r1", "r5", "r10"}) keys.push_back(fmt::format("{}.{}", way, at));
    }
    keys.emplace_back(kMeanRecall);
  }
  if (keys.empty()) {
    for (const Figure& figure : kind.figures) {
      if (!figure.measure.empty()) keys.push_back(figure.key);
    }
  }
  if (keys.empty()) {
    throw UsageError(
        fmt::format("'evaluation.measures' is empty, and the task '{}' names none: give keys of its "
                    "evaluation's JSON",
                    kind.key));
  }
  std::vector<Measure> measures;
  for (const std::string& key : keys) {
    require_figure(kind, is_retrieval(evaluation), key);
    measures.push_back({key, title_of(kind, key)});
  }
  return measures;
}

bool evaluation_is_whole(const fs::path& run) {
  const fs::path file = run / "eval.json", ranks = run / "ranks.json";
  std::error_code failed;
  if (!fs::exists(file, failed)) return false;
  try {
    go_on_with(file);
    if (!read_json(file).is_object()) return false;
    if (!fs::exists(ranks, failed)) return true;
    go_on_with(ranks);
    read_ranks(ranks);
  } catch (const DataError&) {
    return false;
  }
  return true;
}

EvaluatedRun read_figures(const fs::path& run, const std::vector<Measure>& measures) {
  const fs::path file = run / "eval.json", ranks = run / "ranks.json";
  go_on_with(file);
  const OrderedJson json = read_json(file);
  EvaluatedRun result;
  for (const Measure& measure : measures) {
    const auto value = measure.key == kMeanRecall ? mean_recall(json) : number_at(json, measure.key);
    if (!value || !std::isfinite(*value)) {
      throw DataError(file.string(), fmt::format("has no number '{}'", printable(measure.key)),
                      "'evaluation.measures' names keys of this file: \"text_to_image.r1\", \"accuracy\"");
    }
    result.figures[measure.key] = *value;
  }
  if (!fs::exists(ranks)) return result;
  go_on_with(ranks);
  result.ranks = read_ranks(ranks);
  return result;
}

}  // namespace vicha
