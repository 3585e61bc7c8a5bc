// A pickle read as data. The Python format is a small program; this reader knows the instructions that build plain
// containers and tensors, and refuses by name whatever asks for anything else.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "checkpoint/pickle/pickle_value.h"

namespace vicha {

/// Gives the storage `key` of exactly `bytes` bytes (to be filled later if the format has them behind the pickle).
/// Throws DataError if there is no such storage or it has another size.
using StorageSource = std::function<c10::Storage(std::string_view key, c10::ScalarType type, std::int64_t bytes)>;

struct PickleOptions {
  std::string where;            ///< the file, for messages
  StorageSource storages = {};  ///< empty: references to storages are refused
  /// Also what TorchScript archives ask for: objects of the program's own classes (`__torch__...`), as inert
  /// placeholders, and its typed lists, as plain ones.
  bool torchscript = false;
};

/// Reads one pickle from the start of `data`; `consumed` receives its length. Text protocol (0) to protocol 5. Memory
/// and time are bounded by a multiple of `data`'s size: depth, memo, number of values and the size of the tree after
/// shared parts are repeated are limited, and containers that hold themselves are refused. Throws DataError.
PickleValue read_pickle(std::string_view data, const PickleOptions& options, std::size_t* consumed = nullptr);

}  // namespace vicha
