#include "base/named_outputs.h"

#include "base/error.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;

/// Where the name leads, of what is there and of what is not yet.
fs::path place_of(const fs::path& path) {
  std::error_code failed;
  const fs::path found = fs::weakly_canonical(fs::absolute(path, failed), failed);
  return failed ? path.lexically_normal() : found;
}

bool is_one_file(const fs::path& one, const fs::path& other) {
  std::error_code not_there;
  return place_of(one) == place_of(other) || fs::equivalent(one, other, not_there);
}

}  // namespace

void require_distinct(const std::vector<NamedOutput>& outputs) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const NamedOutput &one = outputs[j], &other = outputs[i];
      if (one.path.empty() || other.path.empty() || !is_one_file(one.path, other.path)) continue;
      throw UsageError(other.path.string() + ": " + other.name + " is the same file as " + one.name + " (" +
                       one.path.string() + "), and one would write over the other. Name another file");
    }
  }
}

}  // namespace vicha
