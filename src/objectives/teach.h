// Distillation from an aligned model: the two towers' contrast features learn the direction of its vectors of the same
// pictures and captions (method, section 3, Teach). B pairs, E common embedding, T width of the teacher's space.
#pragma once

#include <optional>
#include <string>

#include "nn/linear.h"
#include "objectives/objective.h"

namespace vicha {

struct TeachOptions : ObjectiveOptions {
  double image = 1.0, text = 1.0;
  std::string source, pictures, captions;
  std::int64_t width = 0;
  bool trust_names = false;

  TeachOptions() { enabled = false; }
  void describe(Visitor& v);
  void check(const ModelOptions& model) const override;
  std::string note() const override;
};

/// The teacher's vectors of a batch's pictures and captions, rows of length 1; undefined where that side is not taught.
struct TeacherFeatures : BatchTargets {
  at::Tensor image, text;  ///< (B, T)

  void for_each_tensor(const TensorVisit& visit) override;
};

/// 1 - cosine, mean over the rows: features (B, T) of any length, teacher (B, T) of length 1. 0 for no rows.
at::Tensor teach_loss(const at::Tensor& features_BT, const at::Tensor& teacher_BT);

class TeachObjective : public Objective {
 public:
  /// Registers "teach_image" and "teach_text", linear maps from E to T, of the sides that are taught if E and T differ.
  /// Throws UsageError if nothing says what T is.
  TeachObjective(const TeachOptions& options, Vicha& model);
  const ObjectiveOptions& options() const override { return options_; }
  std::string_view heads() const override { return "teach_heads"; }
  std::unique_ptr<ObjectiveStep> begin(Encodings& encodings, const Distillation& distillation) const override;

  const TeachOptions& teach_options() const { return options_; }
  /// (B, E) -> (B, T).
  at::Tensor as_teacher_image(const at::Tensor& features_BE) const;
  at::Tensor as_teacher_text(const at::Tensor& features_BE) const;

 private:
  TeachOptions options_;
  std::optional<Linear> image_, text_;
};

/// "teach".
ObjectiveKind teach_kind();

}  // namespace vicha
