// Where the tensors live: the processor or a graphics card.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <string_view>

#include "models/batch.h"

namespace vicha {

/// "auto" (the first graphics card if there is one), "cpu", "cuda" or "cuda:N". Throws UsageError on anything else and
/// on a card that is not there.
at::Device choose_device(std::string_view name);

/// Whether matrix products run in bf16: `precision` is "fp32", "bf16" or "auto" (yes on a graphics card; on a processor
/// where it was measured to be faster).
bool use_bf16(std::string_view precision, const at::Device& device);

/// The batch with its tensors on the device; copies from pinned memory do not wait.
Batch to_device(Batch batch, const at::Device& device);

}  // namespace vicha
