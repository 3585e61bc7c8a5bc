// Plug-ins by their keys: what the program is built with, and what a program around the library adds before it starts.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

/// `Kind` has a member `key`. Closed by the first look at it, so that nobody sees a list that changes.
template <class Kind>
class Registry {
 public:
  explicit Registry(std::vector<Kind> built_in) : kinds_(std::move(built_in)) {}

  const std::vector<Kind>& all() {
    closed_ = true;
    return kinds_;
  }
  const Kind* find(std::string_view key) {
    for (const Kind& kind : all()) {
      if (kind.key == key) return &kind;
    }
    return nullptr;
  }
  /// Throws std::logic_error after the first look, or for a key that is taken.
  void add(Kind kind) {
    if (closed_) throw std::logic_error("'" + kind.key + "' is registered after the registry was first read");
    for (const Kind& known : kinds_) {
      if (known.key == kind.key) throw std::logic_error("'" + kind.key + "' is registered twice");
    }
    kinds_.push_back(std::move(kind));
  }

 private:
  std::vector<Kind> kinds_;
  bool closed_ = false;
};

}  // namespace vicha
