#include "tasks/downstream/classification.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/printable.h"
#include "metrics/share.h"
#include "nn/precision.h"
#include "tasks/host/model_files.h"
#include "train/device.h"

namespace vicha {
namespace {

std::string table_row(const std::string& name, const Share& share) {
  return fmt::format("{:<24}{:>9.2f}{:>10}\n", printable(name), share.percent(), share.all);
}

}  // namespace

ColumnSpec type_column() { return {.field = kTypeField, .type = ColumnType::kText, .required = false}; }

at::Tensor labels_of(const EvaluationSet& set, const std::string& field) {
  const auto& column = set.manifest().column<LabelColumn>(field);
  at::Tensor labels = at::empty({set.caption_count()}, at::kLong);
  auto* out = labels.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < set.caption_count(); ++i) out[i] = column[set.caption_record(i)];
  return labels;
}

Judgement judge_classes(const EvaluationSet& set, const at::Tensor& logits_nC, const at::Tensor& labels_n,
                        const std::vector<std::string>& classes, double temperature) {
  const auto count = static_cast<std::int64_t>(classes.size());
  VICHA_ASSERT(logits_nC.size(1) == count && labels_n.numel() == set.caption_count());
  const at::Tensor best = logits_nC.argmax(1).contiguous(), truth = labels_n.contiguous();
  const std::int64_t *b = best.const_data_ptr<std::int64_t>(), *t = truth.const_data_ptr<std::int64_t>();
  Share all;
  std::vector<Share> of_class(classes.size());
  std::vector<std::vector<std::int64_t>> confusion(classes.size(), std::vector<std::int64_t>(classes.size(), 0));
  std::map<std::string, Share> of_type;
  const Manifest& manifest = set.manifest();
  const bool typed =
      std::ranges::any_of(manifest.schema().columns, [](const ColumnSpec& spec) { return spec.field == kTypeField; });
  for (std::int64_t i = 0; i < truth.numel(); ++i) {
    const bool right = b[i] == t[i];
    const auto label = static_cast<std::size_t>(t[i]);
    all.add(right);
    of_class[label].add(right);
    ++confusion[label][static_cast<std::size_t>(b[i])];
    if (!typed) continue;
    const auto& types = manifest.column<TextColumn>(kTypeField);
    const std::int64_t record = set.caption_record(i);
    if (types.has(record)) of_type[std::string(types[record])].add(right);
  }
  std::int64_t most = 0;
  for (const Share& share : of_class) most = std::max(most, share.all);

  Judgement judged;
  judged.score = all.percent();
  nlohmann::ordered_json& json = judged.figures;
  json = {{"accuracy", all.percent()},
          {"chance", to_thousandth(100.0 / static_cast<double>(count))},
          {"majority", Share{static_cast<double>(most), all.all}.percent()}};
  judged.table = fmt::format("{:<24}{:>9}{:>10}\n", "", "right, %", "records");
  for (std::size_t c = 0; c < classes.size(); ++c) {
    json["labels"][classes[c]] = of_class[c].percent();
    for (std::size_t k = 0; k < classes.size(); ++k) json["confusion"][classes[c]][classes[k]] = confusion[c][k];
    judged.table += table_row(classes[c], of_class[c]);
  }
  for (const auto& [type, share] : of_type) {
    json["types"][type] = share.percent();
    judged.table += table_row(fmt::format("type {}", type), share);
  }
  json["nll"] = std::round(negative_log_likelihood(logits_nC, truth, temperature) * 1e4) / 1e4;
  json["ece"] = to_thousandth(softmax_calibration_error(logits_nC, truth, temperature));
  json["records"] = all.all;
  json["left_out"] = manifest.left_out();
  judged.table += table_row("all", all);
  judged.table +=
      fmt::format("chance {:.2f}, always the most frequent {:.2f}; nll {:.4f}, calibration error {:.2f} %\n",
                  json["chance"].get<double>(), json["majority"].get<double>(), json["nll"].get<double>(),
                  json["ece"].get<double>());
  return judged;
}

std::vector<Figure> classification_figures() {
  return {{"accuracy", "Right answers", "%"},
          {"chance", "Chance", "%"},
          {"majority", "Always the most frequent answer", "%"},
          {"nll", "Negative log-likelihood", "nats"},
          {"ece", "Expected calibration error", "%"},
          {"records", "Records"}};
}

EvaluateResult evaluate_classes(const LoadedModel& loaded, const EvaluateCommand& command, const ClassifiedTask& task) {
  const QuestionCommandOptions options = question_options(loaded, command);
  const fs::path checkpoint = checkpoint_folder(command.checkpoint);
  std::optional<AnswerCalibration> calibration = calibration_of(checkpoint);
  const LoadedQuestions questions = load_questions(loaded, command, task.schema);
  const Bf16Scope scope(use_bf16(command.precision, loaded.vicha().device()));
  const auto classes = static_cast<std::int64_t>(task.classes.size());
  const at::Tensor logits =
      score_questions(loaded.vicha(), questions.set, options.questions, classes, task.score, checkpoint.string());
  const at::Tensor labels = labels_of(*questions.set, task.label_field);
  if (options.calibrate) calibration = calibrate(checkpoint, logits, labels, command.manifest.string());
  Judgement judged = judge_classes(*questions.set, logits, labels, task.classes, temperature_of(calibration));
  if (task.add_figures) task.add_figures(*questions.set, logits, labels, judged);
  judged.figures["calibration"] = json_of(calibration);
  return evaluate_result(judged, command, {checkpoint.string(), questions.concepts});
}

void add_classes(nlohmann::ordered_json& answer, const at::Tensor& logits_C, const std::vector<std::string>& classes,
                 const std::optional<AnswerCalibration>& calibration) {
  const at::Tensor shares = (logits_C.detach().to(at::kCPU, at::kDouble) / temperature_of(calibration)).softmax(0);
  const auto best = static_cast<std::size_t>(shares.argmax().item<std::int64_t>());
  answer["answer"] = classes[best];
  answer["probability"] = shares[static_cast<std::int64_t>(best)].item<double>();
  for (std::size_t c = 0; c < classes.size(); ++c) {
    answer["probabilities"][classes[c]] = shares[static_cast<std::int64_t>(c)].item<double>();
  }
  answer["calibrated"] = calibration.has_value();
}

}  // namespace vicha
