#include "base/file_guard.h"

#include <unistd.h>

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/read_folder.h"

namespace vicha {

namespace fs = std::filesystem;

namespace {

using Identity = std::pair<dev_t, ino_t>;

/// Names of more inputs are not kept: a data set's pictures may be millions. What is to be written is asked for each.
constexpr std::size_t kMostInputs = 1 << 16;

struct State {
  std::mutex mutex;
  int guards = 0;
  std::map<Identity, fs::path> inputs;
  std::multimap<Identity, fs::path> outputs;  // now being written
  std::set<Identity> own;
  std::map<Identity, fs::path> folders;  // nothing is written into these
  std::set<fs::path> kept;               // but this
};

State& state() {
  static State instance;
  return instance;
}

Identity identity(const struct stat& info) { return {info.st_dev, info.st_ino}; }

std::optional<Identity> identity_at(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return identity(info);
}

fs::path full_path(const fs::path& path) {
  std::error_code failed;
  fs::path full = fs::absolute(path, failed);
  return failed ? path : full;
}

[[noreturn]] void refuse(const fs::path& output, const fs::path& input) {
  const bool same_name = full_path(output).lexically_normal() == full_path(input).lexically_normal();
  // No DataError: who passes over bad pictures must not take this for one.
  throw UsageError(output.string() + ": is " +
                   (same_name ? "read by this command, which would write over it"
                              : "the same file as " + input.string() + ", which this command reads") +
                   ". Name another file for the output");
}

/// The input that is now at `path`. A number alone can be that of a file which was removed, and given to a new one.
const fs::path* input_at(const State& s, const fs::path& path) {
  const auto here = identity_at(path);
  if (!here) return nullptr;
  const auto found = s.inputs.find(*here);
  return found != s.inputs.end() && identity_at(found->second) == here ? &found->second : nullptr;
}

/// What is there of the folders above `path` is looked at: other spellings and links are seen through.
void require_outside_folders(const State& s, const fs::path& path) {
  if (s.folders.empty()) return;
  std::error_code failed;
  for (fs::path at = fs::weakly_canonical(full_path(path), failed); !failed && at.has_relative_path();) {
    at = at.parent_path();
    const auto here = identity_at(at);
    if (!here) continue;
    const auto folder = s.folders.find(*here);
    if (folder == s.folders.end() || identity_at(folder->second) != here) continue;
    throw UsageError(path.string() + ": would be written into " + at.string() +
                     ", which this command reads. Name a file elsewhere for the output");
  }
}

void forget(State& s, const Identity& file, const fs::path& path) {
  for (auto [at, end] = s.outputs.equal_range(file); at != end; ++at) {
    if (at->second != path) continue;
    s.outputs.erase(at);
    return;
  }
}

}  // namespace

FileGuard::FileGuard() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.guards++ > 0) return;
  struct stat info {};  // `>>` onto an input
  if (::fstat(STDOUT_FILENO, &info) == 0 && S_ISREG(info.st_mode)) s.outputs.emplace(identity(info), "standard output");
}

FileGuard::~FileGuard() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (--s.guards > 0) return;
  s.inputs.clear();
  s.outputs.clear();
  s.own.clear();
  s.folders.clear();
  s.kept.clear();
}

void note_input(const fs::path& path, const struct stat& info) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.guards == 0) return;
  const Identity file = identity(info);
  if (s.own.contains(file)) return;
  if (const auto output = s.outputs.find(file); output != s.outputs.end()) refuse(output->second, path);
  if (s.inputs.size() < kMostInputs) s.inputs.try_emplace(file, full_path(path));
}

void note_input_folder(const fs::path& folder) {
  State& s = state();
  {
    const std::lock_guard lock(s.mutex);
    struct stat info {};
    if (s.guards == 0 || ::stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return;
    s.folders.insert_or_assign(identity(info), full_path(folder));
  }
  std::error_code none;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, none)) {
    struct stat info {};
    if (::stat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) note_input(entry.path(), info);
  }
}

void may_be_kept(const fs::path& path) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.guards > 0) s.kept.insert(full_path(path));
}

GuardedOutput::GuardedOutput(const fs::path& path) : path_(path) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.guards == 0) return;
  if (!s.kept.contains(full_path(path))) {
    if (const fs::path* input = input_at(s, path)) refuse(path, *input);
    require_outside_folders(s, path);
  }
  const auto here = identity_at(path_);
  if (!here) return;
  std::tie(device_, file_) = *here;
  known_ = true;
  if (!s.own.contains(*here)) s.outputs.emplace(*here, path);
}

GuardedOutput::~GuardedOutput() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (known_ && s.guards > 0) forget(s, {device_, file_}, path_);
}

void GuardedOutput::done() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.guards == 0) return;
  if (known_) forget(s, {device_, file_}, path_);
  known_ = false;
  if (const auto here = identity_at(path_)) {
    s.inputs.erase(*here);  // of a file that had the number before
    s.own.insert(*here);
  }
}

void require_no_input_below(const fs::path& folder) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  std::error_code none;
  if (s.guards == 0) return;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, none)) {
    if (const fs::path* input = input_at(s, entry.path())) {
      throw UsageError(folder.string() + ": would be replaced, but this command reads " + input->string() +
                       " in it. Name another folder for the output");
    }
  }
}

void go_on_with(const fs::path& path) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (s.guards == 0) return;
  if (const fs::path* input = input_at(s, path)) refuse(path, *input);
  if (const auto here = identity_at(path)) s.own.insert(*here);
}

}  // namespace vicha
