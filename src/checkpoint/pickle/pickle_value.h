// What a pickle holds once it has been read: plain data and tensors, nothing that runs.
#pragma once

#include <ATen/core/Tensor.h>

#include <complex>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "checkpoint/tensors/state_dict.h"

namespace vicha {

class PickleValue;
using PickleItems = std::vector<PickleValue>;
using PicklePairs = std::vector<std::pair<PickleValue, PickleValue>>;

/// A whole number beyond 64 bits: two's complement, little-endian, at least one byte.
struct PickleBigInt {
  std::string bytes;
};

struct PickleBytes {
  std::string data;
  bool is_mutable = false;  ///< Python's bytearray
};

struct PickleSequence {
  enum class Kind { kList, kTuple, kSet, kFrozenSet, kSize };  // kSize: torch.Size
  Kind kind = Kind::kList;
  PickleItems items;
};

struct PickleDict {
  bool ordered = false;    ///< collections.OrderedDict
  PicklePairs items;       ///< in insertion order, each key once
  PicklePairs attributes;  ///< of an OrderedDict, such as `_metadata` of a state dict
};

struct PickleTensor {
  at::Tensor value;  ///< tensors that shared a storage in the file share it here; never requires a gradient itself
  bool parameter = false;
  bool requires_grad = false;
};

struct PickleDtype {
  c10::ScalarType type;
};

struct PickleDevice {
  std::string type;  ///< "cpu", "cuda"
  PickleItems rest;  ///< the index, where there is one
};

/// Stands for an instance of one of the few known classes that only carry settings (see `is_placeholder_class`). It is
/// never acted on and never written.
struct PickleObject {
  std::string module, name;
  bool called = false;                     ///< made by calling the class (REDUCE), not by NEWOBJ
  PickleItems arguments, appended, state;  ///< state: nothing or one value
  PicklePairs items;
};

class PickleValue {
 public:
  using Data = std::variant<std::monostate, bool, std::int64_t, double, std::complex<double>, PickleBigInt, std::string,
                            PickleBytes, PickleSequence, PickleDict, PickleTensor, PickleDtype, PickleDevice,
                            std::shared_ptr<const PickleObject>>;

  PickleValue() = default;
  PickleValue(Data data) : data_(std::move(data)) {}  // NOLINT: any alternative is a value
  PickleValue(const char* text) : data_(std::string(text)) {}

  const Data& data() const { return data_; }
  /// The alternative, or nullptr.
  template <class T>
  const T* get_if() const {
    return std::get_if<T>(&data_);
  }
  template <class T>
  T* get_if() {
    return std::get_if<T>(&data_);
  }
  bool is_none() const { return data_.index() == 0; }

  /// A dict's value under a text key, or nullptr (also if this is no dict).
  const PickleValue* find(std::string_view key) const;
  /// The items of a list, tuple or other sequence; empty for anything else.
  const PickleItems& items() const;

 private:
  Data data_;
};

/// Settings classes of which the reader makes inert placeholders: argparse.Namespace, ruamel.yaml's containers and
/// scalars, NumPy's scalars. Every other unknown class is refused.
bool is_placeholder_class(std::string_view module, std::string_view name);

/// Whether a class of that module is one of a TorchScript program (`__torch__.clip.model`); `read_pickle` makes
/// placeholders of them only where it is told to (`PickleOptions::torchscript`).
bool is_torchscript_class(std::string_view module);

/// A dict's key as part of a path: texts and numbers as they are, others as Python writes them.
std::string key_text(const PickleValue& key);

/// Every tensor of the tree under its path: keys and list positions joined by dots ("optimizer.state.0.exp_avg").
/// Throws DataError naming `where` if two tensors have the same path.
StateDict flatten_tensors(const PickleValue& root, std::string_view where = "checkpoint");

/// Whether the value is a dict with text keys that holds at least one tensor directly.
bool is_state_dict(const PickleValue& value);

/// Where the weights of a checkpoint are.
struct ModelState {
  std::string key;         ///< "model", "state_dict" and the like, or "" for the top-level dict
  const PickleDict* dict;  ///< lives as long as the tree it was found in
};
std::optional<ModelState> try_locate_model_state(const PickleValue& root, std::string_view where = "checkpoint");
/// Throws DataError naming `where` if there are none. Both refuse weights of which two could be meant by one name,
/// naming both places.
ModelState locate_model_state(const PickleValue& root, std::string_view where = "checkpoint");

/// The tensors of `locate_model_state`, in order; values that are no tensors (such as OpenAI's `input_resolution`
/// where it is a plain number) are skipped.
StateDict find_model_state(const PickleValue& root, std::string_view where = "checkpoint");

}  // namespace vicha
