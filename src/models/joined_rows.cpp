#include "models/joined_rows.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace vicha {

JoinedRows::Part JoinedRows::add(at::Tensor rows_TD, SegmentsPtr segments) {
  VICHA_ASSERT(rows_TD.size(0) == segments->q_rows);
  rows_.push_back(std::move(rows_TD));
  segments_.push_back(std::move(segments));
  return rows_.size() - 1;
}

at::Tensor JoinedRows::rows() const { return rows_.size() == 1 ? rows_.front() : at::cat(rows_); }

SegmentsPtr JoinedRows::segments() const {
  return segments_.size() == 1 ? segments_.front() : Segments::joined(segments_);
}

void JoinedRows::set_states(const at::Tensor& states_TD) {
  states_.clear();
  std::int64_t begin = 0;
  for (const SegmentsPtr& part : segments_) {
    states_.push_back(segments_.size() == 1 ? states_TD : states_TD.slice(0, begin, begin + part->q_rows));
    begin += part->q_rows;
  }
}

}  // namespace vicha
