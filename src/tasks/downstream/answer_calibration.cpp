#include "tasks/downstream/answer_calibration.h"

#include <ATen/ATen.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/read_folder.h"

namespace vicha {
namespace {

using AnswerJson = nlohmann::ordered_json;

double to_4_digits(double x) { return std::round(x * 1e4) / 1e4; }

}  // namespace

nlohmann::ordered_json json_of(const std::optional<AnswerCalibration>& calibration) {
  if (!calibration) return nullptr;
  const TemperatureFit& fit = calibration->fit;
  return {{"temperature", fit.temperature},
          {"manifest", calibration->manifest},
          {"records", calibration->records},
          {"nll", {to_4_digits(fit.nll_before), to_4_digits(fit.nll_after)}},
          {"ece", {to_4_digits(fit.ece_before), to_4_digits(fit.ece_after)}}};
}

std::optional<AnswerCalibration> calibration_of(const fs::path& checkpoint) {
  const fs::path file = checkpoint / kCalibrationFile;
  if (!fs::exists(file)) return std::nullopt;
  const auto damaged = [&] {
    return DataError(file.string(), "is not the calibration of a model",
                     "Delete it, or write it anew: vicha eval TASK CHECKPOINT MANIFEST --calibrate");
  };
  try {
    const AnswerJson json = AnswerJson::parse(read_file(file));
    AnswerCalibration found;
    found.fit = {json.at("temperature"), json.at("nll").at(0), json.at("nll").at(1), json.at("ece").at(0),
                 json.at("ece").at(1)};
    found.manifest = json.at("manifest");
    found.records = json.at("records");
    if (!(found.fit.temperature > 0) || !std::isfinite(found.fit.temperature)) throw damaged();
    return found;
  } catch (const nlohmann::json::exception&) {
    throw damaged();
  }
}

double temperature_of(const std::optional<AnswerCalibration>& calibration) {
  return calibration ? calibration->fit.temperature : 1.0;
}

AnswerCalibration calibrate(const fs::path& checkpoint, const at::Tensor& logits_nC, const at::Tensor& labels_n,
                            const std::string& manifest) {
  if (labels_n.numel() == 0 || labels_n.max().item<std::int64_t>() < 0) {
    throw DataError(manifest, "has no record whose answer the model could give, so that nothing can be calibrated",
                    "Give a set with labels, of the task that the model was trained for");
  }
  AnswerCalibration made{fit_temperature(logits_nC, labels_n), manifest, labels_n.numel()};
  const fs::path file = checkpoint / kCalibrationFile;
  may_be_kept(file);  // what was read of it before is replaced
  write_file_atomic(file, json_text(json_of(std::optional(made)), 1) + "\n");
  log::info("temperature {:.3f}: negative log-likelihood {:.4f} -> {:.4f}, calibration error {:.2f} -> {:.2f} %; {}",
            made.fit.temperature, made.fit.nll_before, made.fit.nll_after, made.fit.ece_before, made.fit.ece_after,
            file.string());
  if (made.fit.at_an_end()) {
    log::warning(
        "{}: the temperature lies at an end of the range that is searched, as where a model answers all {} records "
        "rightly, or no better than by chance; probabilities mean little then. Calibrate on more or other records",
        manifest, made.records);
  }
  return made;
}

}  // namespace vicha
