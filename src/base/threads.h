// The same work on many things, spread over threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace vicha {

/// Calls `work(i)` once for each i below `count`, on `threads` threads. If calls throw, no new ones are started and the
/// exception of the lowest i is thrown here once all threads are done.
template <class Work>
void for_each_index(std::size_t count, int threads, Work&& work) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::size_t failed_index = count;
  std::exception_ptr failure;
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < failed_index) {
          failed_index = i;
          failure = std::current_exception();
        }
        next = count;
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < threads; ++i) helpers.emplace_back(run);
    run();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace vicha
