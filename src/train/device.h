// Where the tensors live: the processor or a graphics card.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <string_view>

#include "models/batch.h"
#include "train/train_options.h"

namespace vicha {

/// "auto" (the first graphics card if there is one), "cpu", "cuda" or "cuda:N". Throws UsageError on anything else and
/// on a card that is not there.
at::Device choose_device(std::string_view name);

/// Throws UsageError if it is none of kPrecisionNames.
Precision parse_precision(std::string_view name);
/// Whether matrix products run in bf16; kAuto: on a graphics card, and on a processor where it was measured to be
/// faster.
bool use_bf16(Precision precision, const at::Device& device);

/// The batch with its tensors on the device; copies from pinned memory do not wait.
Batch to_device(Batch batch, const at::Device& device);

}  // namespace vicha
