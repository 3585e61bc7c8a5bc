// The model of grounding: the host with matching and contrast, and where it is supervised a head for candidate boxes.
// n expressions, C candidates, N patches.
#pragma once

#include <optional>
#include <vector>

#include "nn/position.h"
#include "tasks/downstream/network/pairs.h"
#include "tasks/downstream/questions.h"
#include "tasks/grounding/candidates.h"
#include "tasks/grounding/grounding_recipe.h"
#include "tasks/grounding/network/candidates_head.h"
#include "tasks/host/task_model.h"

namespace vicha {

/// Candidates of several expressions side by side.
struct CandidateTargets : BatchTargets {
  at::Tensor boxes_BC4;  ///< shares of the picture's sides
  at::Tensor real_BC;    ///< bool: which there are
  at::Tensor right_BC;   ///< bool: which meet the right box
  void for_each_tensor(const TensorVisit& visit) override;
};
CandidateTargets candidate_targets(const std::vector<const Candidates*>& of, std::int64_t at_least = 1);

class GroundingModel : public TaskModel {
 public:
  GroundingModel(const GroundingRecipe& recipe, std::uint64_t seed);
  bool trains_fusion() const override { return head_.has_value(); }
  bool supervised() const { return head_.has_value(); }

  /// Logits of the candidates (n, C). `cls_nD`: fused [CLS] of the expressions, the i-th beside picture `image_of[i]`.
  at::Tensor judge(const ImageStates& image, const at::Tensor& cls_nD, const std::vector<std::int64_t>& image_of,
                   const CandidateTargets& candidates) const;
  /// The same of a set's expressions, `most` candidates wide.
  at::Tensor judge(const QuestionBatch& batch, const EvaluationSet& set, const CandidateBoxes& boxes,
                   std::int64_t most) const;

  /// Maps of expressions (n, N), by matching or by similarities.
  at::Tensor maps(const QuestionBatch& batch, const GroundingMapOptions& options) const;
  /// The same word by word, of their real tokens one after the other.
  at::Tensor word_maps_of(const QuestionBatch& batch, const GroundingMapOptions& options) const;
  /// By the contrast: pictures (B, …) as Batch::image, and the texts beside them.
  at::Tensor contrast_maps_of(const at::Tensor& pictures, const Tokens& concepts, const Tokens& texts,
                              const std::vector<std::int64_t>& image_of, const GroundingMapOptions& options) const;
  /// What those maps lie over: patches, or regions.
  PatchGrid grid_of(const GroundingMapOptions& options) const;
  /// Of all expressions of a set, in its order: (X, N), fp32 on the CPU.
  at::Tensor maps(const std::shared_ptr<const EvaluationSet>& set, const GroundingMapOptions& options,
                  const QuestionOptions& questions, const std::string& name, const Group& group) const;

 private:
  std::optional<CandidatesHead> head_;
};

}  // namespace vicha
