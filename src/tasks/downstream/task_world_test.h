// What the tests of downstream tasks share: the world of coloured pictures, and a task trained, evaluated and refused
// in it.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tasks/host/model_files.h"
#include "tasks/pretrain/colour_world_test.h"

namespace vicha {

class TaskWorld : public ColourWorld {
 protected:
  /// Model, start, data and training as the small pretraining of this world has them; all concepts are read.
  template <class Recipe>
  Recipe small(const std::string& manifest) const {
    const PretrainRecipe pretrain = recipe();
    Recipe r;
    const auto fusion = r.model.fusion;
    r.model = pretrain.model;
    r.model.fusion = fusion;
    r.init = pretrain.init;
    r.data = pretrain.data;
    r.data.concepts.random_share = 0;
    r.training = pretrain.training;
    r.data.manifests = {(folder_ / manifest).string()};
    return r;
  }
  /// Fusion in one sequence, over a grid that cuts the patches.
  static void make_joint(ModelOptions& model) {
    model.fusion.kind = FusionKind::kJoint;
    model.regions.rows = model.regions.columns = 2;
  }
  template <class Recipe>
  RunResult train(Recipe r, const std::string& out, const std::string& resume = "auto") const {
    r.finish();
    return train_task({r, folder_ / out, ResumeChoice::parse(resume), "cpu"});
  }
  nlohmann::ordered_json evaluate_task(const std::string& task, const fs::path& checkpoint, const std::string& manifest,
                                       std::vector<std::string> settings = {}) const {
    EvaluateCommand command{
        .checkpoint = checkpoint, .manifest = folder_ / manifest, .image_root = "", .device = "cpu"};
    command.settings = std::move(settings);
    return nlohmann::ordered_json::parse(evaluate_trained(*find_task_kind(task), command).json);
  }
  /// The message of the error that ends the call.
  template <class Call>
  static std::string refused(Call&& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was refused";
  }
  static testing::AssertionResult says(const std::string& message, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) {
      if (message.find(part) == std::string::npos) return testing::AssertionFailure() << message << " lacks " << part;
    }
    return testing::AssertionSuccess();
  }
};

}  // namespace vicha
