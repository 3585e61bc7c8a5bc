// What the ranks of a run must have in common, and the mean of their gradients. Alone, none of this does anything.
#pragma once

#include <cstdint>

#include "distributed/group.h"
#include "nn/parameters.h"

namespace vicha {

/// Throws Error, on every rank, unless all start at the same step with the same number of batches an epoch.
void require_same_start(const Group& group, std::int64_t step, std::int64_t batches_per_epoch);

/// Every tensor of the store, learned or not, becomes that of rank 0.
void broadcast_weights(const Group& group, const ParameterStore& store);

/// Each gradient becomes its mean over ranks, which is the gradient of the mean loss: ranks have batches of one size.
/// Where only some ranks have a gradient (nothing was masked in the batches of the others), theirs counts as zero;
/// where none has, it stays undefined.
void average_gradients(const Group& group, const ParameterStore& store);

}  // namespace vicha
