// A model that `vicha align` has trained, from its checkpoint: heads, and the towers they stand on when raw pictures or
// texts come. B pictures, n texts, E width of the common space.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "align/align_task.h"
#include "features/picture_encoder.h"
#include "features/text_encoder.h"
#include "tasks/align/align_recipe.h"
#include "tasks/align/tower_record.h"

namespace vicha {

/// A checkpoint folder itself; of a run's folder the best checkpoint where it was judged, else the last. Throws
/// DataError if the folder is neither.
std::filesystem::path aligned_checkpoint(const std::filesystem::path& folder);

struct AlignedModelOptions {
  std::string device = "auto";
  std::string image_tower = {}, text_tower = {};  ///< where the towers are now; empty: where they were in training
};

class AlignedModel {
 public:
  /// Throws DataError if the folder holds no such model; UsageError if `device` is none.
  explicit AlignedModel(const std::filesystem::path& folder, AlignedModelOptions options = {});

  const std::filesystem::path& checkpoint() const { return checkpoint_; }
  const AlignRecipe& recipe() const { return recipe_.get<AlignRecipe>(); }
  const TowerRecord& towers() const { return towers_; }
  const AlignModel& heads() const { return *heads_; }
  std::int64_t width() const { return recipe().align.embed_dim; }
  double scale() const { return scale_; }  ///< 1 / temperature
  /// SHA-256 of the heads' weights.
  const std::string& sha256() const { return sha256_; }
  /// "my-run, step-001000".
  const std::string& name() const { return name_; }

  /// Opened when first asked for. Throw DataError that says where the tower was looked for and how to say where it is
  /// now, or that what lies there is another tower, naming both. Any number of threads.
  const PictureEncoder& pictures() const;
  const TextEncoder& texts() const;

  /// (B, D) features of the towers -> (B, E) unit rows, fp32 on the CPU. Any number of threads.
  at::Tensor embed_pictures(const at::Tensor& features) const { return heads_->embed_images(features); }
  at::Tensor embed_texts(const at::Tensor& features) const { return heads_->embed_texts(features); }

 private:
  std::filesystem::path checkpoint_;
  AlignedModelOptions options_;
  AnyOptions<TaskRecipe> recipe_;
  TowerRecord towers_;
  std::unique_ptr<AlignModel> heads_;
  std::string sha256_, name_;
  double scale_ = 1;
  mutable std::mutex opening_;
  mutable std::unique_ptr<PictureEncoder> pictures_;
  mutable std::unique_ptr<TextEncoder> texts_;
};

}  // namespace vicha
