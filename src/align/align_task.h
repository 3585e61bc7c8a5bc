// `vicha align`: two heads on stored features, trained with a contrast by the training loop. Steps read the
// FeatureTargets of their batch (features.h); everything that is kept lies in the parameter store:
//   image_head.*, text_head.*    the heads; image_head_m.*, text_head_m.* their means over steps, if there are any
//   image_features.mean|deviation, text_features.…
//   contrast.log_scale, contrast.bias
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "align/align_options.h"
#include "align/features.h"
#include "distributed/group.h"
#include "nn/head.h"
#include "train/early_stop.h"
#include "train/task.h"

namespace vicha {

/// What a checkpoint says of its recipe (Task::config_json and the functions beside it).
struct RecipeTexts {
  std::string config_json = "{}", default_config_json = {}, recipe_toml = {};
  std::vector<MovedKey> moved_keys = {};
  std::vector<std::pair<std::string, std::string>> files = {};
};

/// Widths of the features of both sides.
struct FeatureWidths {
  std::int64_t image, text;
};

/// Heads, scale and bias: all of an aligned model that is not its towers.
class AlignModel {
 public:
  AlignModel(const AlignOptions& options, const FeatureWidths& widths, std::int64_t seed);

  /// From here on features are standardised so, if the options say it.
  void set_moments(const FeatureMoments& image, const FeatureMoments& text) const;

  /// (B, D) features as stored -> (B, E) unit rows, fp32. Without gradient and dropout, by the mean heads if there are
  /// any.
  at::Tensor embed_images(const at::Tensor& features_BD) const;
  at::Tensor embed_texts(const at::Tensor& features_BD) const;
  /// All rows of a matrix, block by block: (N * V, E) fp32.
  at::Tensor embed_images(const FeatureMatrix& features) const;
  at::Tensor embed_texts(const FeatureMatrix& features) const;

  ParameterStore& parameters() { return store_; }
  const AlignOptions& options() const { return options_; }
  /// What similarities are multiplied with: one element, as it stands.
  at::Tensor scale() const;

 private:
  friend class AlignTask;

  AlignOptions options_;
  ParameterStore store_;
  Standardisation image_moments_, text_moments_;
  std::optional<Head> image_head_, text_head_, image_mean_, text_mean_;
  at::Tensor log_scale_, bias_;
};

/// Terms: "contrast". Measures: "temperature", for the sigmoid loss "bias", "image_accuracy" and "text_accuracy":
/// shares of the batch that find one of their own first.
class AlignTask : public Task {
 public:
  /// Model and group must outlive this; so must `early_stop`, if any, whose state is saved with the task's.
  AlignTask(AlignModel& model, RecipeTexts texts, const Group& group = Group::alone(), EarlyStop* early_stop = nullptr);

  Losses step(const Batch& batch, const StepContext& context) override;
  ParameterStore& parameters() override { return model_.parameters(); }
  void save_state(StateDict& state) const override;
  void load_state(const StateDict& state) override;
  std::string config_json() const override { return texts_.config_json; }
  std::string default_config_json() const override { return texts_.default_config_json; }
  std::vector<MovedKey> moved_keys() const override { return texts_.moved_keys; }
  std::string recipe_toml() const override { return texts_.recipe_toml; }
  std::vector<std::pair<std::string, std::string>> checkpoint_files() const override { return texts_.files; }

 private:
  void follow() const;

  AlignModel& model_;
  RecipeTexts texts_;
  const Group& group_;
  EarlyStop* early_stop_;
};

}  // namespace vicha
