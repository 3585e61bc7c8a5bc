#include "base/named_outputs.h"

#include <sys/stat.h>

#include "base/error.h"

namespace vicha {
namespace {

namespace fs = std::filesystem;

/// Where the name leads, of what is there and of what is not yet.
fs::path place_of(const fs::path& path) {
  std::error_code failed;
  fs::path named = fs::absolute(path, failed);
  // A link to what is not there yet is followed by hand: weakly_canonical takes it for a name that is free.
  for (int links = 0; links < 40 && fs::is_symlink(named, failed); ++links) {
    named = named.parent_path() / fs::read_symlink(named, failed);
  }
  failed.clear();
  const fs::path found = fs::weakly_canonical(named, failed);
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

GuardedOutputs::GuardedOutputs(const std::vector<NamedOutput>& outputs, const std::vector<fs::path>& inputs) {
  require_distinct(outputs);
  for (const fs::path& input : inputs) {
    struct stat info {};
    if (!input.empty() && ::stat(input.c_str(), &info) == 0 && S_ISREG(info.st_mode)) note_input(input, info);
  }
  for (const NamedOutput& output : outputs) {
    if (!output.path.empty()) guards_.emplace_back(output.path);
  }
}

}  // namespace vicha
