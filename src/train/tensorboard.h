// Event files that TensorBoard reads: scalars only. A file is a sequence of records
//   length (u64) | masked CRC-32C of the length (u32) | data | masked CRC-32C of the data (u32)      (little endian)
// whose data is a protobuf message `Event` (tensorflow/core/util/event.proto); the few fields used are encoded here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "train/append_file.h"
#include "train/metrics.h"

namespace vicha {

/// Castagnoli's CRC ("123456789" gives 0xe3069283).
std::uint32_t crc32c(std::string_view data);
/// The same as event files store it.
std::uint32_t masked_crc32c(std::string_view data);

class EventWriter {
 public:
  /// A new file in `folder`. With `resumed_at`, readers forget what earlier files say of later steps.
  explicit EventWriter(const std::filesystem::path& folder, std::optional<std::int64_t> resumed_at = {});

  /// Tags: `loss/NAME`, `measure/NAME`, `train/lr`, `train/samples_per_s`.
  void write(const StepRecord& record);

 private:
  void append(std::string_view event);

  AppendFile file_;
};

}  // namespace vicha
