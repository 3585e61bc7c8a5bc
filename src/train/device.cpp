#include "train/device.h"

#include <ATen/Context.h>
#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/error.h"
#include "nn/kernel_choice.h"

namespace vicha {

at::Device choose_device(std::string_view name) {
  const int cards = at::hasCUDA() ? static_cast<int>(at::getNumGPUs()) : 0;
  if (name == "cpu" || (name == "auto" && cards == 0)) return at::kCPU;
  int index = 0;
  if (name.starts_with("cuda:")) {
    const std::string_view digits = name.substr(5);
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (failed != std::errc() || end != digits.data() + digits.size() || index < 0) index = -1;
  } else if (name != "auto" && name != "cuda") {
    index = -1;
  }
  if (index < 0) throw UsageError(fmt::format("--device: unknown device '{}': one of auto, cpu, cuda, cuda:N", name));
  if (index >= cards) {
    throw UsageError(fmt::format(
        "--device: there is no '{}': this LibTorch sees {} CUDA device(s) here; use 'auto' or 'cpu'", name, cards));
  }
  return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

bool use_bf16(std::string_view precision, const at::Device& device) {
  if (precision == "bf16") return true;
  if (precision == "fp32") return false;
  if (precision != "auto") {
    throw UsageError(fmt::format("train.precision: unknown precision '{}': one of auto, fp32, bf16", precision));
  }
  return !device.is_cpu() || kernel_choice().bf16_is_faster;
}

Batch to_device(Batch batch, const at::Device& device) {
  if (device.is_cpu()) return batch;
  return std::move(batch).to(device, /*non_blocking=*/true);
}

}  // namespace vicha
