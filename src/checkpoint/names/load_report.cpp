#include "checkpoint/names/load_report.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <unordered_set>

#include "base/error.h"
#include "base/printable.h"
#include "checkpoint/names/names.h"
#include "checkpoint/tensors/finite.h"
#include "checkpoint/tensors/in_quotes.h"

namespace vicha {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : "×") + std::to_string(size);
  return text;
}

std::string first(const std::vector<std::string>& names, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < std::min(count, names.size()); ++i) text += (i == 0 ? "" : ", ") + printable(names[i]);
  if (names.size() > count) text += " and " + std::to_string(names.size() - count) + " more";
  return text;
}

std::vector<std::string> beyond(const std::vector<std::string>& names, const std::vector<std::string>& patterns) {
  std::vector<std::string> rest;
  for (const std::string& name : names) {
    const bool allowed = std::any_of(patterns.begin(), patterns.end(),
                                     [&](const std::string& pattern) { return matches(pattern, name); });
    if (!allowed) rest.push_back(name);
  }
  return rest;
}

std::vector<std::string> reshape_texts(const std::vector<LoadReport::Reshaped>& reshaped) {
  std::vector<std::string> texts;
  for (const auto& [name, from, to] : reshaped) texts.push_back(name + " " + shape_text(from) + " → " + shape_text(to));
  return texts;
}

/// Weights become weights and counters counters; a float in a counter's place is another model's tensor.
bool same_class(c10::ScalarType a, c10::ScalarType b) {
  return c10::isFloatingType(a) == c10::isFloatingType(b) && c10::isComplexType(a) == c10::isComplexType(b);
}

class Loader {
 public:
  Loader(const NamedTensors& targets, const StateDict& source, const LoadPolicy& policy)
      : targets_(targets), source_(source), policy_(policy) {}

  LoadReport run() {
    std::unordered_set<std::string> known;
    for (const auto& [name, target] : targets_) {
      if (!known.insert(name).second) throw std::logic_error("the model has two tensors named '" + name + "'");
      plan(name, target);
    }
    for (const auto& [name, tensor] : source_) {
      if (known.count(name) == 0) report_.unexpected.push_back(name);
    }
    check();
    check_finite();
    const at::NoGradGuard no_grad;
    for (auto& [target, value] : copies_) target.copy_(value);
    return std::move(report_);
  }

 private:
  void plan(const std::string& name, const at::Tensor& target) {
    at::Tensor value = source_.find(name);
    if (!value.defined()) {
      report_.missing.push_back(name);
      return;
    }
    if (value.sizes() != target.sizes()) {
      at::Tensor made = policy_.reshape ? policy_.reshape(name, value, target.sizes()) : at::Tensor();
      if (!made.defined() || made.sizes() != target.sizes()) {
        misfits_.push_back(name + " is " + shape_text(value.sizes()) + " where the model has " +
                           shape_text(target.sizes()));
        return;
      }
      report_.reshaped.push_back({name, value.sizes().vec(), target.sizes().vec()});
      value = std::move(made);
    }
    if (!same_class(value.scalar_type(), target.scalar_type())) {
      ++types_;
      misfits_.push_back(name + " holds " + c10::toString(value.scalar_type()) + " where the model has " +
                         c10::toString(target.scalar_type()));
      return;
    }
    report_.loaded.push_back(name);
    copies_.emplace_back(target, value.to(target.scalar_type()));  // where a large number may become none
  }

  /// By the cause: weights of another kind, of other types, of another size.
  std::string advice(const std::vector<std::string>& missing, const std::vector<std::string>& unexpected) const {
    const bool strange = !missing.empty() || !unexpected.empty();
    if (report_.loaded.empty() && misfits_.empty()) return "The weights are of another kind of model: give others";
    if (!strange && types_ == misfits_.size()) {
      return "The file is a quantised or converted copy: take the weights in float32, float16 or bfloat16";
    }
    std::string types = types_ == 0 ? "" : ". Those of another type come from a quantised or converted copy";
    if (!policy_.remedy.empty()) return policy_.remedy + types;
    return (strange ? "The weights are of another model: check the recipe"
                    : "The weights are of a model of another size: check the recipe") +
           types;
  }

  void check() const {
    const std::vector<std::string> missing = beyond(report_.missing, policy_.allow_missing),
                                   unexpected = beyond(report_.unexpected, policy_.allow_unexpected);
    std::string problems;
    const auto add = [&](const std::string& problem) { problems += (problems.empty() ? "" : "; ") + problem; };
    if (!misfits_.empty()) add(std::to_string(misfits_.size()) + " tensors do not fit: " + first(misfits_, 10));
    if (!missing.empty()) add(std::to_string(missing.size()) + " tensors are missing: " + first(missing, 10));
    if (!unexpected.empty()) {
      add(std::to_string(unexpected.size()) + " tensors have no place in this model: " + first(unexpected, 10));
    }
    if (!problems.empty()) {
      throw DataError(policy_.where, problems, advice(missing, unexpected));
    }
  }

  void check_finite() const {
    std::size_t i = 0;
    for (const auto& [target, value] : copies_) {
      const std::string& name = report_.loaded[i++];
      if (is_finite(value)) continue;
      throw DataError(policy_.where, "tensor " + in_quotes(name) + " holds NaN or an infinity",
                      "The run that wrote it had diverged, or the file is damaged: take an earlier checkpoint");
    }
  }

  const NamedTensors& targets_;
  const StateDict& source_;
  const LoadPolicy& policy_;
  LoadReport report_;
  std::vector<std::string> misfits_;
  std::size_t types_ = 0;                                  ///< misfits by type, not by shape
  std::vector<std::pair<at::Tensor, at::Tensor>> copies_;  ///< target, value
};

}  // namespace

std::string LoadReport::summary() const {
  std::string text = "loaded " + std::to_string(loaded.size()) + " tensors";
  const auto add = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) text += ", " + std::to_string(names.size()) + " " + what + " (" + first(names, 3) + ")";
  };
  add("reshaped", reshape_texts(reshaped));
  add("missing", missing);
  add("unexpected", unexpected);
  return text;
}

std::string LoadReport::listing() const {
  std::string text;
  const auto add = [&](const char* heading, const std::vector<std::string>& names) {
    text += std::string(heading) + " (" + std::to_string(names.size()) + ")\n";
    for (const std::string& name : names) text += "  " + printable(name) + "\n";
  };
  add("loaded", loaded);
  add("reshaped", reshape_texts(reshaped));
  add("missing", missing);
  add("unexpected", unexpected);
  return text;
}

LoadReport load_into(const NamedTensors& targets, const StateDict& source, const LoadPolicy& policy) {
  return Loader(targets, source, policy).run();
}

}  // namespace vicha
