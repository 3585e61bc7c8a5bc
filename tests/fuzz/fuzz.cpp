#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/log.h"

// A replay needs no environment: what the sanitizers are told stands here.
extern "C" const char* __asan_default_options() {
  // LibTorch is not instrumented, so that bounds which it and we keep together cannot be checked.
  return "detect_container_overflow=0:quarantine_size_mb=64:strict_string_checks=1";
}
extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1"; }
// As tools/lsan.supp: kept by libraries to the end of the process.
extern "C" const char* __lsan_default_suppressions() { return "leak:libfontconfig\nleak:liblink-grammar\n"; }
extern "C" const char* __lsan_default_options() { return "print_suppressions=0"; }

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  // Warnings are formed, as their text is made of the input too, and not shown.
  vicha::log::set_sink([](vicha::log::Level, std::string_view) {});
  vicha::log::set_level(vicha::log::Level::kDebug);
  if (vicha_fuzz_prepare != nullptr) vicha_fuzz_prepare();
  return 0;
}

namespace vicha::fuzz {
namespace {

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "fuzz: %s: %s\n", what, std::strerror(errno));
  std::abort();
}

}  // namespace

void require(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: broken promise: %s\n", promise);
  std::abort();
}

MemoryFile::MemoryFile() : fd_(::memfd_create("vicha-fuzz", MFD_CLOEXEC)) {
  if (fd_ < 0) give_up("memfd_create");
  path_ = "/proc/self/fd/" + std::to_string(fd_);
}

MemoryFile::~MemoryFile() { ::close(fd_); }

void MemoryFile::write(std::string_view content) {
  if (::ftruncate(fd_, 0) != 0) give_up("ftruncate");
  if (::pwrite(fd_, content.data(), content.size(), 0) != static_cast<ssize_t>(content.size())) give_up("pwrite");
}

ScratchFolder::ScratchFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "vicha-fuzz.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) give_up("mkdtemp");
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path ScratchFolder::write(std::string_view name, std::string_view content) const {
  const std::filesystem::path file = path_ / name;
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!out.flush()) give_up("a file of the scratch folder");
  return file;
}

std::string ScratchFolder::read(std::string_view name) const {
  std::ifstream in(path_ / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void ScratchFolder::clear(std::span<const std::string_view> kept) const {
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    if (std::ranges::find(kept, entry.path().filename().string()) == kept.end()) {
      std::filesystem::remove_all(entry.path());
    }
  }
}

std::size_t ScratchFolder::size() const {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
}

}  // namespace vicha::fuzz
