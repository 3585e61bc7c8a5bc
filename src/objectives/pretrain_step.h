// One pretraining (or retrieval fine-tuning) step: the objectives of a recipe over one set of encodings.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "objectives/objective_set.h"

namespace vicha {

class PretrainStep {
 public:
  /// `objectives`: of these options, with their heads in the model; both outlive this. Throws UsageError if no
  /// objective is active at the start.
  PretrainStep(const ObjectivesOptions& options, const ObjectiveSet& objectives, Vicha& model);

  /// A step that has begun: what its objectives look at, and they themselves.
  class Run {
   public:
    Run(Vicha& model, const Batch& batch, Draws& draws, const Wants& wants, const EncodingOptions& options,
        TextCache* cache)
        : encodings(model, batch, draws, wants, options, cache) {}
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    Encodings encodings;
    /// By its type; nullptr where it does not take part.
    template <class Step>
    Step* find() const {
      for (const Active& active : active_) {
        if (auto* found = dynamic_cast<Step*>(active.step.get())) return found;
      }
      return nullptr;
    }

   private:
    friend class PretrainStep;
    struct Active {
      const ObjectiveSet::Entry* entry;
      std::unique_ptr<ObjectiveStep> step;
    };
    std::vector<Active> active_;
  };
  struct Result {
    at::Tensor total;
    std::vector<std::pair<std::string, at::Tensor>> terms;  ///< unweighted, by objective
  };
  /// `progress` in [0, 1): share of the run that is done. `plain`: every pass separate and in full.
  std::unique_ptr<Run> begin(const Batch& batch, Draws& draws, double progress, double alpha,
                             TextCache* cache = nullptr, bool plain = false) const;
  Result losses(Run& run) const;

  /// Adds the targets of all enabled objectives to a batch, on the host; a generator for each that draws some.
  std::vector<std::function<void(Batch&, Rng&)>> target_makers() const;

  const ObjectivesOptions& options() const { return options_; }
  const ObjectiveSet& objectives() const { return objectives_; }
  Vicha& model() const { return model_; }

 private:
  ObjectivesOptions options_;
  Vicha& model_;
  const ObjectiveSet& objectives_;
};

}  // namespace vicha
