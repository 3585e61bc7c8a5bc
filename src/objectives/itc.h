// Image–text contrast with a queue and momentum soft targets (method, section 3, ITC).
#pragma once

#include "objectives/objective.h"

namespace vicha {

/// Mean over both directions of (1 - alpha) * hard + alpha * soft cross-entropy over all candidates (B, C). `positives`
/// (B, C) bool, at least one in a row, undefined: the diagonal; a row's target is uniform over its positives. `soft_*`:
/// similarities of the momentum features, read if alpha > 0.
at::Tensor itc_loss(const at::Tensor& i2t_BC, const at::Tensor& t2i_BC, const at::Tensor& positives_BC,
                    const at::Tensor& soft_i2t_BC, const at::Tensor& soft_t2i_BC, double alpha);
/// One direction of it. 0 for no rows.
at::Tensor contrast_loss(const at::Tensor& sim_BC, const at::Tensor& positives_BC, const at::Tensor& soft_BC,
                         double alpha);

struct ItcOptions : ObjectiveOptions {
  Positives positives = Positives::kIndex;

  void describe(Visitor& v);
  void share(EncodingOptions& shared) const override { shared.positives = positives; }
};

/// "itc". No heads: the projections are the model's own. With other positives than the pair itself the queue keeps ids.
ObjectiveKind itc_kind();

}  // namespace vicha
