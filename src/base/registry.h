// Plug-ins by their keys: what the program is built with, and what a program around the library adds before it starts.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vicha {

/// `Kind` has a member `key`. Closed by the first look at it, so that nobody sees a list that changes.
template <class Kind>
class Registry {
 public:
  /// The built-in kinds are made at the first look: making them may itself look at other registries (a recipe has a
  /// section for each objective), which must not close those while a program still adds to them.
  explicit Registry(std::function<std::vector<Kind>()> built_in) : built_in_(std::move(built_in)) {}

  /// The built-in kinds, then the others in the order in which they came. Throws std::logic_error if two have one key.
  const std::vector<Kind>& all() {
    if (closed_) return kinds_;
    std::vector<Kind> kinds = built_in_();
    for (Kind& kind : kinds_) kinds.push_back(std::move(kind));
    kinds_ = std::move(kinds);
    closed_ = true;
    for (std::size_t i = 0; i < kinds_.size(); ++i) {
      for (std::size_t k = 0; k < i; ++k) {
        if (kinds_[k].key == kinds_[i].key) throw std::logic_error("'" + kinds_[i].key + "' is registered twice");
      }
    }
    return kinds_;
  }
  const Kind* find(std::string_view key) {
    for (const Kind& kind : all()) {
      if (kind.key == key) return &kind;
    }
    return nullptr;
  }
  /// Throws std::logic_error after the first look.
  void add(Kind kind) {
    if (closed_) throw std::logic_error("'" + kind.key + "' is registered after the registry was first read");
    kinds_.push_back(std::move(kind));
  }

 private:
  std::function<std::vector<Kind>()> built_in_;
  std::vector<Kind> kinds_;
  bool closed_ = false;
};

}  // namespace vicha
