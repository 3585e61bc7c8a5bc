#include "base/threads.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace vicha {
namespace {

TEST(Threads, EveryIndexIsWorkedOnOnce) {
  for (const int threads : {1, 3, 101}) {
    std::vector<std::atomic<int>> calls(100);
    for_each_index(calls.size(), threads, [&](std::size_t i) { ++calls[i]; });
    EXPECT_TRUE(std::all_of(calls.begin(), calls.end(), [](const auto& n) { return n == 1; })) << threads;
  }
  for_each_index(0, 3, [](std::size_t) { FAIL(); });
}

TEST(Threads, TheFailureOfTheLowestIndexIsThrownAndNoMoreIsStarted) {
  // All three calls are under way before any throws.
  std::atomic<int> started = 0;
  try {
    for_each_index(100, 3, [&](std::size_t i) {
      ++started;
      while (started < 3) std::this_thread::yield();
      throw Error("no paper in tray " + std::to_string(i));
    });
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "no paper in tray 0");
  }
  EXPECT_EQ(started, 3);
}

}  // namespace
}  // namespace vicha
