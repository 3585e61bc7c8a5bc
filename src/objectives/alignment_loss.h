// How the aligning objectives (ita, irta, ira) judge a matrix of similarities (method, section 4; docs/regions.md).
// R rows (pictures, regions), C columns (captions, tags).
#pragma once

#include <optional>
#include <string>

#include "objectives/objective.h"

namespace vicha {

enum class AlignmentForm {
  kInfoNce,  ///< cross-entropy over a learned temperature, rows against columns and columns against rows
  kMargin    ///< what the largest similarity of a row has over its positive
};

struct AlignmentOptions : ObjectiveOptions {
  AlignmentForm loss = AlignmentForm::kInfoNce;

  AlignmentOptions() { enabled = false; }
  void describe(Visitor& v);
  std::string note() const override { return loss == AlignmentForm::kMargin ? "margin" : ""; }
};

/// With a temperature that is the objective's own.
struct TemperedAlignmentOptions : AlignmentOptions {
  double temperature = 0.07;

  void describe(Visitor& v);
};

/// Mean over the rows of max(row, positive included) - positive. A row of several positives has the mean of theirs,
/// each measured against the row's other columns without the other positives, which are right as well: so it is 0
/// exactly when no negative lies above any of them. `positives_RC` bool, at least one in a row; undefined: the
/// diagonal. 0 for no rows.
at::Tensor margin_loss(const at::Tensor& similarity_RC, const at::Tensor& positives_RC);

/// Mean over both directions of the cross-entropy of similarity / temperature with targets uniform over the positives,
/// of which every row and every column has one.
at::Tensor infonce_loss(const at::Tensor& similarity_RC, const at::Tensor& positives_RC, const at::Tensor& temperature);

/// The form that an objective was given, and the temperature that it learns.
class Alignment {
 public:
  /// Registers `name` (0-D) where the form has a temperature.
  Alignment(const TemperedAlignmentOptions& options, const std::string& name, ParameterStore& store);
  /// With a temperature that somebody else keeps within its bounds.
  Alignment(const AlignmentOptions& options, at::Tensor temperature)
      : form_(options.loss), temperature_(std::move(temperature)) {}

  at::Tensor operator()(const at::Tensor& similarity_RC, const at::Tensor& positives_RC) const;
  /// 0-D; undefined where the form has none.
  const at::Tensor& temperature() const { return temperature_; }

 private:
  AlignmentForm form_;
  at::Tensor temperature_;
  bool own_ = false;
};

}  // namespace vicha
