// One pretraining (or retrieval fine-tuning) step: the objectives of a recipe over one set of encodings.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "objectives/hitc.h"
#include "objectives/mae.h"
#include "objectives/mlm.h"
#include "objectives/objective.h"

namespace vicha {

struct ItcOptions : ObjectiveOptions {
  Positives positives = Positives::kIndex;

  void describe(Visitor& v) {
    ObjectiveOptions::describe(v);
    v.choice({"positives", "",
              "What else in the batch and the queue counts as right: nothing (the paper), the same caption, the "
              "same picture"},
             positives,
             {{"index", Positives::kIndex}, {"caption", Positives::kCaption}, {"image_id", Positives::kImageId}});
  }
};

struct DistillationOptions {
  bool enabled = true;
  double alpha = 0.4;
  bool ramp = true;

  void describe(Visitor& v) {
    v.field({"enabled", "", "Mix the momentum model's answers into the targets of ITC and MLM"}, enabled);
    v.field({"alpha", "", "Share of the soft targets", 0, 1}, alpha);
    v.field({"ramp", "", "Grow the share from 0 over the first epoch"}, ramp);
  }
  /// Share at a step: `step` of `steps_per_epoch` in `epoch`, all from 0.
  double at(std::int64_t epoch, std::int64_t step, std::int64_t steps_per_epoch) const;
};

struct ObjectivesOptions {
  ItcOptions itc;
  HitcOptions hitc;
  ObjectiveOptions itm;
  MlmOptions mlm;
  MaeOptions mae;
  DistillationOptions distillation;
  bool clamp_temperature = true;

  void describe(Visitor& v) {
    v.section("itc", "Image–text contrast", itc);
    v.section("hitc", "Hierarchical image–text contrast", hitc);
    v.section("itm", "Image–text matching", itm);
    v.section("mlm", "Masked language modelling", mlm);
    v.section("mae", "Masked image modelling", mae);
    v.section("distillation", "Soft targets of the momentum model", distillation);
    v.field({"clamp_temperature", "", "Keep the temperature in [0.001, 0.5] (pretraining: yes, fine-tuning: no)"},
            clamp_temperature);
  }
  /// Tells the model which parts the objectives need.
  void shape_model(ModelOptions& model) const;
  /// When the first objective sets in that trains a part; never, if none does.
  Vicha::Starts starts() const;
};

class PretrainStep {
 public:
  explicit PretrainStep(const ObjectivesOptions& options);

  struct Result {
    at::Tensor total;
    std::vector<std::pair<std::string, at::Tensor>> terms;  ///< unweighted, by objective
  };
  /// `progress` in [0, 1): share of the run that is done. `plain`: every pass separate and in full.
  Encodings encodings(Vicha& model, const Batch& batch, Draws& draws, double progress, double alpha,
                      TextCache* cache = nullptr, bool plain = false) const;
  Result losses(Encodings& encodings, double progress, double alpha) const;

  const ObjectivesOptions& options() const { return options_; }

 private:
  bool active(const Objective& objective, double progress) const { return progress >= objective.options().start; }

  ObjectivesOptions options_;
  std::vector<std::unique_ptr<Objective>> objectives_;
};

}  // namespace vicha
