// Retrieval that a run is evaluated on along the way, as its recipe says.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/describe.h"
#include "data/pipeline/data_options.h"
#include "tasks/retrieval/ranking.h"

namespace vicha {

struct TrainingSetup;

struct EvalOptions {
  std::string manifest;
  std::int64_t k_test = 256;
  Ranking ranking = Ranking::kMatching;
  double match_weight = 1.0;
  std::int64_t batch_size = 64;

  void describe(Visitor& v);
  /// For TaskRecipe::evaluation_settings.
  std::vector<std::string> settings() const;
};

/// The evaluation at a checkpoint, given the step: what TaskTraining::on_checkpoint or an EarlyStop calls. Gives the
/// mean of all recalls, percent. All ranks evaluate together; the writer finds concepts, embeds what has to be
/// embedded, and writes. Without a manifest it does nothing. `data`: of the recipe. The setup's parts outlive it.
std::function<double(std::int64_t step)> retrieval_along(const EvalOptions& options, const DataOptions& data,
                                                         const TrainingSetup& setup);

}  // namespace vicha
