// Passes that share weights run as one: the rows of several of them lie one after the other in one packed matrix, so
// that every weight is read once and its gradient written once. Each part's states are those of a pass of its own. T
// rows, D width.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "nn/segments.h"

namespace vicha {

class JoinedRows {
 public:
  using Part = std::size_t;

  /// (T, D) and who attends to whom within them. The first part is the pass's own.
  Part add(at::Tensor rows_TD, SegmentsPtr segments);

  /// What runs: all parts' rows and segments.
  at::Tensor rows() const;
  SegmentsPtr segments() const;

  /// Takes the result (all parts' rows) apart.
  void set_states(const at::Tensor& states_TD);
  /// (T, D) of one part.
  const at::Tensor& states(Part part) const { return states_.at(part); }

 private:
  std::vector<at::Tensor> rows_, states_;
  std::vector<SegmentsPtr> segments_;
};

}  // namespace vicha
