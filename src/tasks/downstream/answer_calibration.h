// The temperature that makes a checkpoint's probabilities honest: `vicha eval TASK RUN VAL --calibrate` fits it and
// leaves calibration.json beside the weights; evaluation and prediction read it. n texts, C classes.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "metrics/calibration.h"

namespace vicha {

struct AnswerCalibration {
  TemperatureFit fit;
  std::string manifest;      ///< that it was fitted on
  std::int64_t records = 0;  ///< of it
};
inline constexpr const char* kCalibrationFile = "calibration.json";

/// Of a checkpoint folder; nothing if it has none. Throws DataError naming the file if it is damaged.
std::optional<AnswerCalibration> calibration_of(const std::filesystem::path& checkpoint);
/// Logits are divided by it: 1 without calibration.
double temperature_of(const std::optional<AnswerCalibration>& calibration);
/// What a result says of it: {"temperature", "manifest", "nll": [before, after], "ece": [before, after]}, or null.
nlohmann::ordered_json json_of(const std::optional<AnswerCalibration>& calibration);

/// Fits, writes the file into the checkpoint's folder (checkpoint_folder has found it) and logs what it gained.
AnswerCalibration calibrate(const std::filesystem::path& checkpoint, const at::Tensor& logits_nC,
                            const at::Tensor& labels_n, const std::string& manifest);

}  // namespace vicha
