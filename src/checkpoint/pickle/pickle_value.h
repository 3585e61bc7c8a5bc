// What a pickle holds once it has been read: plain data and tensors, nothing that runs.
#pragma once

#include <ATen/core/Tensor.h>

#include <complex>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

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
};

struct PickleSequence {
  enum class Kind { kList, kTuple, kSet };  ///< torch.Size is a tuple, frozenset a set
  Kind kind = Kind::kList;
  PickleItems items;
};

struct PickleDict {
  PicklePairs items;  ///< in insertion order, each key once
};

struct PickleTensor {
  at::Tensor value;  ///< tensors that shared a storage in the file share it here; never requires a gradient
};

struct PickleDtype {
  c10::ScalarType type;
};

struct PickleDevice {
  std::string type;  ///< "cpu", "cuda"
};

/// Stands for an instance of one of the few known classes that only carry settings (see `is_placeholder_class`). It is
/// never acted on and never written.
struct PickleObject;

/// A value of the tree. What is larger than a number is shared, not copied: what a pickle refers to at several places
/// is one object here too (compare addresses to see it), so that the tree takes memory in proportion to the pickle. Who
/// walks it from place to place must bound the walk: forty lists that hold the one before twice have 2^40 places.
class PickleValue {
 public:
  template <class T>
  using Shared = std::shared_ptr<const T>;

  PickleValue() = default;
  PickleValue(bool truth) : data_(truth) {}
  PickleValue(std::int64_t number) : data_(number) {}
  PickleValue(double number) : data_(number) {}
  PickleValue(const char* text) : PickleValue(std::string(text)) {}
  template <class T>
  requires std::is_class_v<T> PickleValue(T value) : data_(std::make_shared<const T>(std::move(value))) {}

  /// The alternative, or nullptr. It lives as long as any value that shares it.
  template <class T>
  const T* get_if() const {
    if constexpr (std::is_arithmetic_v<T>) {
      return std::get_if<T>(&data_);
    } else {
      const auto* shared = std::get_if<Shared<T>>(&data_);
      return shared == nullptr ? nullptr : shared->get();
    }
  }
  bool is_none() const { return data_.index() == 0; }

  /// Calls `visitor` with the alternative; std::monostate is None.
  template <class Visitor>
  void visit(const Visitor& visitor) const {
    std::visit(
        [&](const auto& value) {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::monostate>) {
            visitor(value);
          } else {
            visitor(*value);
          }
        },
        data_);
  }

  /// A dict's value under a text key, or nullptr (also if this is no dict).
  const PickleValue* find(std::string_view key) const;
  /// The items of a list, tuple or set; empty for anything else.
  const PickleItems& items() const;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, Shared<std::complex<double>>, Shared<PickleBigInt>,
               Shared<std::string>, Shared<PickleBytes>, Shared<PickleSequence>, Shared<PickleDict>,
               Shared<PickleTensor>, Shared<PickleDtype>, Shared<PickleDevice>, Shared<PickleObject>>
      data_;
};

struct PickleObject {
  std::string module, name;
  PickleItems arguments, appended, state;  ///< state: nothing or one value
  PicklePairs items;
};

/// Settings classes of which the reader makes inert placeholders: argparse.Namespace, ruamel.yaml's containers and
/// scalars, NumPy's scalars. Every other unknown class is refused.
bool is_placeholder_class(std::string_view module, std::string_view name);

/// Whether a class of that module is one of a TorchScript program (`__torch__.clip.model`); `read_pickle` makes
/// placeholders of them only where it is told to (`PickleOptions::torchscript`).
bool is_torchscript_class(std::string_view module);

/// A dict's key as part of a path: texts and numbers as they are, others as Python writes them.
std::string key_text(const PickleValue& key);

}  // namespace vicha
