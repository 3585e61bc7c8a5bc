#include "base/memory.h"

#include <limits>  // also defines __GLIBC__ where that is the C library

#ifdef __GLIBC__
#include <fmt/format.h>
#include <malloc.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdlib>
#include <string>

/// jemalloc's; null in a program without it.
extern "C" int mallctl(const char* name, void* old_value, std::size_t* old_size, void* value, std::size_t size)
    __attribute__((weak));
#endif

namespace vicha {

#ifdef __GLIBC__
namespace {

/// It returns freed memory of 8 MiB and more at once, which is most of a step's, and the rest after ten seconds, which
/// a large model's step may take. What nobody has asked for in a minute does go: kept for good it came to four times
/// what was in use where one process trains models of several sizes.
void keep_in_jemalloc() {
  // Makes the arena of large memory, which is then set like the others; volatile, or the compiler leaves both calls
  // out.
  void* volatile large = std::malloc(std::size_t{16} << 20);
  std::free(large);
  ssize_t minute_ms = 60000;
  std::size_t at_once = std::numeric_limits<std::ptrdiff_t>::max();
  mallctl("arenas.dirty_decay_ms", nullptr, nullptr, &minute_ms, sizeof(minute_ms));  // of those to come
  unsigned count = 0;
  std::size_t size = sizeof(count);
  if (mallctl("arenas.narenas", &count, &size, nullptr, 0) != 0) return;
  for (unsigned i = 0; i < count; ++i) {
    const std::string arena = fmt::format("arena.{}.", i);
    mallctl((arena + "oversize_threshold").c_str(), nullptr, nullptr, &at_once, sizeof(at_once));
    mallctl((arena + "dirty_decay_ms").c_str(), nullptr, nullptr, &minute_ms, sizeof(minute_ms));
  }
}

}  // namespace
#endif

void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, 64 << 20);
  if (mallctl != nullptr && std::getenv("MALLOC_CONF") == nullptr) keep_in_jemalloc();
#endif
}

}  // namespace vicha
