#include "checkpoint/pickle/torchscript.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <string>
#include <unordered_set>

#include "base/error.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

// Longest name of a tensor. Names repeat what stands once in the file, so something must bound them.
constexpr std::size_t kMaxName = 512;
constexpr std::size_t kMostPlaces = 1 << 20,
                      kMostModuleNames =
                          64 << 20;  // modules may be shared, so that they have more places than the file bytes
constexpr std::string_view kSettings[] = {"input_resolution", "context_length", "vocab_size"};

/// The attributes of a module: the state of an object of one of the program's classes. nullptr for anything else.
const PickleDict* attributes(const PickleValue& value) {
  const auto* object = value.get_if<PickleObject>();
  if (object == nullptr || !is_torchscript_class(object->module) || object->state.size() != 1) return nullptr;
  return object->state[0].get_if<PickleDict>();
}

class Collector {
 public:
  explicit Collector(std::string_view where) : where_(where) {}

  // Depth is bounded by the reader's.
  void collect(const PickleDict& module, const std::string& path) {
    for (const auto& [key, value] : module.items) {
      if (++steps_ > kMostPlaces)
        throw DataError(where_, "repeats shared modules until they are far larger than the file");
      const auto* attribute = key.get_if<std::string>();
      if (attribute == nullptr) throw DataError(where_, "has a module with an attribute whose name is not text");
      const PickleDict* inner = attributes(value);
      const bool setting = path.empty() && value.get_if<std::int64_t>() != nullptr &&
                           std::ranges::find(kSettings, *attribute) != std::end(kSettings);
      const auto* tensor = value.get_if<PickleTensor>();
      if (inner == nullptr && tensor == nullptr && !setting) continue;
      if (path.size() + 1 + attribute->size() > kMaxName) {
        throw DataError(where_, "has a tensor whose name is longer than " + std::to_string(kMaxName) + " bytes");
      }
      const std::string name = path.empty() ? *attribute : path + "." + *attribute;
      if (inner != nullptr) {
        collect(*inner, name);
      } else if (tensor != nullptr) {
        add(name, *tensor);
      } else {
        add(name, {at::scalar_tensor(*value.get_if<std::int64_t>(), at::kLong)});
      }
    }
  }

  PickleDict take() { return std::move(state_); }

 private:
  void add(const std::string& name, PickleTensor tensor) {
    if ((bytes_ += name.size()) > kMostModuleNames)
      throw DataError(where_, "has names of tensors that repeat without end");
    if (!names_.insert(name).second) {
      throw DataError(where_, "has two tensors of the name " + in_quotes(name));
    }
    state_.items.emplace_back(name, std::move(tensor));
  }

  std::string where_;
  PickleDict state_;
  std::unordered_set<std::string> names_;
  std::size_t steps_ = 0, bytes_ = 0;
};

}  // namespace

PickleValue torchscript_state(const PickleValue& object, std::string_view where) {
  const PickleDict* module = attributes(object);
  if (module == nullptr) throw DataError(where, "is a TorchScript archive that holds no module");
  Collector collector(where);
  collector.collect(*module, "");
  PickleDict state = collector.take();
  if (state.items.empty()) throw DataError(where, "is a TorchScript archive without weights");
  return state;
}

}  // namespace vicha
