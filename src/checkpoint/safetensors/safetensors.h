// The safetensors format: an 8-byte header length, a JSON header, raw little-endian tensors.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "checkpoint/tensors/state_dict.h"

namespace vicha {

using Metadata = std::map<std::string, std::string>;

/// Every tensor of the file. With `map` the tensors share a read-only memory map that lives as long as they do (do not
/// write to them); otherwise they own their memory. Throws DataError on anything that is not exactly the format:
/// overlapping or missing byte ranges, duplicate names, lying sizes, headers over 100 MB.
StateDict read_safetensors(const std::filesystem::path& path, Metadata* metadata = nullptr, bool map = false);

/// Names, types and shapes only; reads no tensor data.
struct TensorInfo {
  std::string name;
  at::ScalarType dtype;
  std::vector<std::int64_t> shape;
};
std::vector<TensorInfo> read_safetensors_header(const std::filesystem::path& path, Metadata* metadata = nullptr);

/// Atomic: either the whole file or the old one. Non-contiguous tensors are written contiguously; shared storage is
/// written once per name.
void write_safetensors(const std::filesystem::path& path, const StateDict& tensors, const Metadata& metadata = {});
/// What such a file holds.
std::string safetensors_bytes(const StateDict& tensors, const Metadata& metadata = {});

}  // namespace vicha
