// What a lab keeps in each run's folder, beside what training leaves there:
//   ablation.json  what the run was trained on and how far it came (this file's RunRecord)
//   eval.json      the evaluation, as `vicha eval TASK --out` writes it
//   ranks.json     of retrieval: the rank of the right answer, for every query
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ablation/lab_file.h"
#include "tasks/host/task_kind.h"

namespace vicha {

struct RunRecord {
  std::string digest;             ///< PlannedRun::digest
  bool trained = false;           ///< to the end
  std::string evaluation = {};    ///< digest of what was evaluated; "" while nothing was
  std::string failure = {};       ///< why the run ended otherwise; "" where it did not
  std::int64_t steps = 0;         ///< trained
  std::int64_t parameters = 0;    ///< numbers that learned
  double seconds = 0;             ///< of training
  double samples_per_s = 0;       ///< while training
  double evaluation_seconds = 0;  ///< all of the evaluation, its loading too

  /// Nothing where there is no record that can be read.
  static std::optional<RunRecord> read(const std::filesystem::path& run);
  /// Whether there is one, and be it damaged: the folder is a lab's.
  static bool is_there(const std::filesystem::path& run);
  void write(const std::filesystem::path& run) const;
};

/// Of the set and the options that a lab's runs are evaluated with. Throws DataError if the set is not there,
/// UsageError if nothing is evaluated so.
std::string evaluation_digest(const LabEvaluation& evaluation);

/// Evaluates the run's model and writes eval.json and ranks.json. Throws as evaluate_trained.
void evaluate_run(const std::filesystem::path& run, const LabEvaluation& evaluation, const std::string& device);

/// What an evaluation found.
struct EvaluatedRun {
  std::map<std::string, double> figures;  ///< by measure
  /// Ranks of the right answers from 1, of "text_to_image" and "image_to_text"; empty but for retrieval.
  std::map<std::string, std::vector<std::int64_t>> ranks;
};

/// Numbers that learn in the model of a run's last checkpoint; 0 where the model is of no such kind.
std::int64_t trained_parameters(const std::filesystem::path& run);

struct Measure {
  std::string key;    ///< "text_to_image.r1"
  std::string title;  ///< "text → picture R@1"
};

/// The lab's, or those of its task. Throws UsageError naming one that no evaluation of the task has, as far as is
/// known.
std::vector<Measure> measures_of(const LabEvaluation& evaluation);

/// Whether eval.json, and ranks.json where it is there, can be read. What measures they have is another matter.
bool evaluation_is_whole(const std::filesystem::path& run);

/// Throws DataError naming the file, and the measure that it does not have.
EvaluatedRun read_figures(const std::filesystem::path& run, const std::vector<Measure>& measures);

}  // namespace vicha
