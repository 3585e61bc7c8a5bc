#include "checkpoint/pickle/pickle_value.h"

#include <array>
#include <charconv>

namespace vicha {

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

}  // namespace vicha
