#include "tasks/host/tower_spec.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;

/// Length of "vit:" in "vit:weights"; 0 of a folder alone. A prefix has two letters at least: "C:" is a drive.
std::size_t prefix_of(std::string_view spec) {
  const std::size_t colon = spec.find(':');
  return colon == std::string_view::npos || colon < 2 || spec.substr(0, colon).find('/') != std::string_view::npos
             ? 0
             : colon + 1;
}

}  // namespace

std::string absolute_tower_spec(std::string_view spec) {
  if (spec.empty()) return "";
  const std::size_t prefix = prefix_of(spec);
  return std::string(spec.substr(0, prefix)) + fs::absolute(fs::path(spec.substr(prefix))).lexically_normal().string();
}

std::filesystem::path path_of_tower_spec(std::string_view spec) { return fs::path(spec.substr(prefix_of(spec))); }

}  // namespace vicha
