#include "checkpoint/pickle/pickle_value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <unordered_set>

#include "base/error.h"

namespace vicha {
namespace {

// Paths repeat what stands once in the file: a long key, used again on each level of each branch.
constexpr std::size_t kMaxPath = 4096, kMaxPaths = 256 << 20;

/// Goes through the tensors of a tree with one text that grows and shrinks, not one per level.
class TensorWalk {
 public:
  using Visit = std::function<void(const at::Tensor& tensor, const std::string& path)>;
  TensorWalk(std::string_view where, Visit visit) : where_(where), visit_(std::move(visit)) {}

  void walk(const PickleValue& value) {
    if (const auto* tensor = value.get_if<PickleTensor>()) {
      visit_(tensor->value, path_);
    } else if (const auto* dict = value.get_if<PickleDict>()) {
      for (const auto& [key, item] : dict->items) below(key_text(key), item);
    } else if (const auto* sequence = value.get_if<PickleSequence>()) {
      for (std::size_t i = 0; i < sequence->items.size(); ++i) below(std::to_string(i), sequence->items[i]);
    }
  }

 private:
  void below(const std::string& part, const PickleValue& value) {
    if (!value.get_if<PickleTensor>() && !value.get_if<PickleDict>() && !value.get_if<PickleSequence>()) return;
    const std::size_t length = path_.size();
    if (length + part.size() > kMaxPath) {
      if (value.get_if<PickleTensor>()) throw DataError(where_, "has a tensor under a name of more than 4096 bytes");
      return;
    }
    if (length > 0) path_ += '.';
    path_ += part;
    walk(value);
    path_.resize(length);
  }

  std::string_view where_;
  Visit visit_;
  std::string path_;
};

}  // namespace

std::string key_text(const PickleValue& key) {
  if (const auto* text = key.get_if<std::string>()) return *text;
  if (const auto* number = key.get_if<std::int64_t>()) return std::to_string(*number);
  if (const auto* truth = key.get_if<bool>()) return *truth ? "True" : "False";
  if (const auto* real = key.get_if<double>()) {
    std::array<char, 32> digits{};  // the shortest text that reads back as the same number
    return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), *real).ptr};
  }
  return key.is_none() ? "None" : "?";
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

StateDict flatten_tensors(const PickleValue& root, std::string_view where) {
  StateDict tensors;
  std::size_t bytes = 0;
  TensorWalk(where, [&](const at::Tensor& tensor, const std::string& path) {
    if ((bytes += path.size()) > kMaxPaths) throw DataError(where, "has names of tensors that repeat without end");
    if (tensors.contains(path)) throw DataError(where, "has two tensors under the path '" + path + "'");
    tensors.set(path, tensor);
  }).walk(root);
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

namespace {

// Where programs put weights, and what some put around them: Lightning, DINO (teacher), DataParallel, EfficientNets.
constexpr const char* kModelKeys[] = {"model", "state_dict", "model_state_dict", "net", "module", "teacher"};

/// Tensors of the dict and of dicts below them that would have the same name: `{'a.b': X, 'a': {'b': Y}}`.
void refuse_ambiguity(const PickleDict& dict, const std::string& place, std::string_view where) {
  std::unordered_set<std::string_view> names;
  for (const auto& [key, value] : dict.items) {
    if (value.get_if<PickleTensor>()) names.insert(*key.get_if<std::string>());
  }
  for (const auto& [key, value] : dict.items) {
    if (value.get_if<PickleTensor>() || !(value.get_if<PickleDict>() || value.get_if<PickleSequence>())) continue;
    const std::string outer = key_text(key);
    TensorWalk(where, [&](const at::Tensor&, const std::string& path) {
      const std::string name = outer.empty() ? path : path.empty() ? outer : outer + "." + path;
      if (names.count(name) == 0) return;
      throw DataError(where,
                      "has two tensors that are '" + name + "': " + place + "['" + name + "'] and '" + path + "' in " +
                          place + "['" + outer + "']",
                      "Load it in Python and save the one that is meant");
    }).walk(value);
  }
}

}  // namespace

std::optional<ModelState> try_locate_model_state(const PickleValue& root, std::string_view where) {
  const auto* top = root.get_if<PickleDict>();
  std::optional<ModelState> found;
  for (const char* key : kModelKeys) {
    const PickleValue* inner = root.find(key);
    if (inner == nullptr || !is_state_dict(*inner)) continue;
    const auto* dict = inner->get_if<PickleDict>();
    if (!found) found = ModelState{key, dict};
  }
  if (is_state_dict(root)) {
    refuse_ambiguity(*top, "the file", where);
    if (!found) found = ModelState{"", top};
  }
  if (found && !found->key.empty()) refuse_ambiguity(*found->dict, "its '" + found->key + "'", where);
  return found;
}

ModelState locate_model_state(const PickleValue& root, std::string_view where) {
  if (const auto found = try_locate_model_state(root, where)) return *found;
  for (const char* key : kModelKeys) {
    const PickleValue* inner = root.find(key);
    const auto* dict = inner == nullptr ? nullptr : inner->get_if<PickleDict>();
    if (dict != nullptr && dict->items.empty()) {
      throw DataError(where, "holds no weights: its '" + std::string(key) + "' is empty");
    }
  }
  std::string keys;
  if (const auto* dict = root.get_if<PickleDict>()) {
    for (std::size_t i = 0; i < std::min<std::size_t>(dict->items.size(), 10); ++i) {
      keys += (i == 0 ? "" : ", ") + key_text(dict->items[i].first).substr(0, 100);
    }
  }
  throw DataError(where,
                  "holds no weights: neither its top level nor 'model', 'state_dict', 'model_state_dict', 'net', "
                  "'module' or 'teacher' is a dict of named tensors" +
                      (keys.empty() ? "" : "; its top level has " + keys));
}

StateDict find_model_state(const PickleValue& root, std::string_view where) {
  StateDict tensors;
  for (const auto& [key, value] : locate_model_state(root, where).dict->items) {
    if (const auto* tensor = value.get_if<PickleTensor>()) tensors.set(*key.get_if<std::string>(), tensor->value);
  }
  return tensors;
}

}  // namespace vicha
