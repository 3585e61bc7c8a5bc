// Small tensors made on the host for a device.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace vicha {

/// On a GPU the copy is from pinned memory and is not waited for: nothing in a step may stall the device.
inline at::Tensor to_device(const at::Tensor& host, const at::Device& device) {
  if (device.is_cpu()) return host;
  return device.is_cuda() ? host.pin_memory().to(device, host.scalar_type(), /*non_blocking=*/true) : host.to(device);
}

}  // namespace vicha
