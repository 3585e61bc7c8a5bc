#include "base/memory.h"

#include <limits>  // also defines __GLIBC__ where that is the C library

#ifdef __GLIBC__
#include <fmt/format.h>
#include <malloc.h>
#include <sys/types.h>

#include <cstdlib>

/// jemalloc's; null in a program without it.
extern "C" int mallctl(const char* name, void* old_value, std::size_t* old_size, void* value, std::size_t size)
    __attribute__((weak));
#endif

namespace vicha {

#ifdef __GLIBC__
namespace {

void keep_in_jemalloc() {
  ssize_t never = -1;
  mallctl("arenas.dirty_decay_ms", nullptr, nullptr, &never, sizeof(never));  // of those to come
  unsigned count = 0;
  std::size_t size = sizeof(count);
  if (mallctl("arenas.narenas", &count, &size, nullptr, 0) != 0) return;
  for (unsigned i = 0; i < count; ++i) {
    mallctl(fmt::format("arena.{}.dirty_decay_ms", i).c_str(), nullptr, nullptr, &never, sizeof(never));
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
