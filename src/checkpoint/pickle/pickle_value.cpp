#include "checkpoint/pickle/pickle_value.h"

#include <algorithm>

#include "base/error.h"

namespace vicha {
namespace {

void flatten(const PickleValue& value, const std::string& path, StateDict& tensors) {
  const auto below = [&](const std::string& part) { return path.empty() ? part : path + "." + part; };
  if (const auto* tensor = value.get_if<PickleTensor>()) {
    tensors.set(path, tensor->value);
  } else if (const auto* dict = value.get_if<PickleDict>()) {
    for (const auto& [key, item] : dict->items) flatten(item, below(key_text(key)), tensors);
  } else if (const auto* sequence = value.get_if<PickleSequence>()) {
    for (std::size_t i = 0; i < sequence->items.size(); ++i) {
      flatten(sequence->items[i], below(std::to_string(i)), tensors);
    }
  }
}

}  // namespace

std::string key_text(const PickleValue& key) {
  if (const auto* text = key.get_if<std::string>()) return *text;
  if (const auto* number = key.get_if<std::int64_t>()) return std::to_string(*number);
  return "?";
}

const PickleValue* PickleValue::find(std::string_view key) const {
  const auto* dict = get_if<PickleDict>();
  if (dict == nullptr) return nullptr;
  for (const auto& [name, value] : dict->items) {
    const auto* text = name.get_if<std::string>();
    if (text != nullptr && *text == key) return &value;
  }
  return nullptr;
}

const PickleItems& PickleValue::items() const {
  static const PickleItems kNone;
  const auto* sequence = get_if<PickleSequence>();
  return sequence == nullptr ? kNone : sequence->items;
}

bool is_placeholder_class(std::string_view module, std::string_view name) {
  if (module == "argparse") return name == "Namespace";
  if (module == "numpy") return name == "dtype";
  if (module == "numpy.core.multiarray" || module == "numpy._core.multiarray") return name == "scalar";
  return module.starts_with("ruamel.yaml.") && name.find('.') == std::string_view::npos;
}

bool is_torchscript_class(std::string_view module) { return module == "__torch__" || module.starts_with("__torch__."); }

StateDict flatten_tensors(const PickleValue& root) {
  StateDict tensors;
  flatten(root, "", tensors);
  return tensors;
}

bool is_state_dict(const PickleValue& value) {
  const auto* dict = value.get_if<PickleDict>();
  return dict != nullptr &&
         std::all_of(dict->items.begin(), dict->items.end(),
                     [](const auto& item) { return item.first.template get_if<std::string>() != nullptr; }) &&
         std::any_of(dict->items.begin(), dict->items.end(),
                     [](const auto& item) { return item.second.template get_if<PickleTensor>() != nullptr; });
}

std::optional<ModelState> try_locate_model_state(const PickleValue& root) {
  for (const char* key : {"model", "state_dict", "model_state_dict"}) {
    const PickleValue* inner = root.find(key);
    if (inner != nullptr && is_state_dict(*inner)) return ModelState{key, inner->get_if<PickleDict>()};
  }
  if (is_state_dict(root)) return ModelState{"", root.get_if<PickleDict>()};
  return std::nullopt;
}

ModelState locate_model_state(const PickleValue& root, std::string_view where) {
  if (const auto found = try_locate_model_state(root)) return *found;
  throw DataError(where,
                  "holds no weights: neither its top level nor 'model', 'state_dict' or 'model_state_dict' is a "
                  "dict of named tensors");
}

StateDict find_model_state(const PickleValue& root, std::string_view where) {
  StateDict tensors;
  for (const auto& [key, value] : locate_model_state(root, where).dict->items) {
    if (const auto* tensor = value.get_if<PickleTensor>()) tensors.set(*key.get_if<std::string>(), tensor->value);
  }
  return tensors;
}

}  // namespace vicha
