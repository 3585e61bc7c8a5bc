#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <limits>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "concepts/store/store.h"
#include "concepts/store/store_test_support.h"

namespace vicha::store_test {
namespace {

constexpr StoreShape kNarrow{8, 1, StoreType::kFloat16}, kLarge{4096, 2, StoreType::kFloat32};

/// What the pipeline does: embeds the images that the store does not hold as they are.
void embed_missing(EmbeddingStoreWriter& writer, const StoreShape& shape, std::int64_t images, std::int64_t batch) {
  std::int64_t next = 0;
  while (next < images) {
    std::int64_t first = next;
    while (first < images && writer.content(key_of(first)) == content_of(first)) ++first;
    std::int64_t last = first;
    while (last < images && last - first < batch && writer.content(key_of(last)) != content_of(last)) ++last;
    if (last > first) add_rows(writer, shape, first, last - first);
    next = last;
  }
}

/// Runs in a child, which ends with status 0 if `run` returns true. OpenMP's threads do not survive a fork.
template <class Run>
pid_t in_child(Run&& run) {
  const pid_t child = ::fork();
  if (child == 0) {
    at::set_num_threads(1);
    int status = 1;
    try {
      status = run() ? 0 : 1;
    } catch (...) {
    }
    ::_exit(status);
  }
  return child;
}

TEST(EmbeddingStoreWriter, KilledAtAnyMomentLosesNothingAndDoublesNothing) {
  const Place place;
  constexpr std::int64_t kImages = 600, kSteps = kImages / 5;
  Rng rng(5);
  int killed = 0;
  bool done = false;
  for (int run = 0; run < 200 && !done; ++run) {
    // A child that is granted fewer steps than all is killed on any machine, however fast: on its way, or as it waits.
    std::array<int, 2> grants{};
    ASSERT_EQ(::pipe(grants.data()), 0);
    const auto granted = static_cast<std::size_t>(run == 0 ? kSteps / 4 : 1 + rng.below(kSteps + kSteps / 8));
    const pid_t child = in_child([&] {
      EmbeddingStoreWriter writer(place / "s", source(), kNarrow);
      for (std::int64_t n = 5; n <= kImages; n += 5) {
        char grant = 0;
        if (::read(grants[0], &grant, 1) != 1) return false;
        embed_missing(writer, kNarrow, n, 5);
        writer.flush();
      }
      return true;
    });
    ASSERT_GT(child, 0);
    const std::string all(granted, '.');
    ASSERT_EQ(::write(grants[1], all.data(), all.size()), static_cast<ssize_t>(all.size()));
    std::this_thread::sleep_for(std::chrono::microseconds(rng.below(20'000)));
    ::kill(child, SIGKILL);
    for (const int end : grants) ::close(end);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    killed += WIFSIGNALED(status);
    ASSERT_TRUE(done || WIFSIGNALED(status));
    if (!fs::exists(place / "s") || fs::file_size(place / "s") < 256) continue;
    const EmbeddingStore store = EmbeddingStore::open(place / "s");
    expect_rows(store, store.size());
    ASSERT_EQ(store.size() % 5, 0);
  }
  EXPECT_GT(killed, 0);
  EmbeddingStoreWriter writer(place / "s", source(), kNarrow);  // whatever is left
  embed_missing(writer, kNarrow, kImages, 50);
  writer.finish();
  expect_rows(EmbeddingStore::open(place / "s"), kImages);
}

TEST(EmbeddingStoreWriter, FullDiskIsAnErrorAndTheFileStaysWhole) {
  const Place place;
  constexpr std::int64_t kRecord = 4096 * 2 * 4;
  const auto path = place / "s";
  const pid_t child = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{40 * kRecord, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    EmbeddingStoreWriter writer(path, source(), kLarge);
    std::int64_t added = 0;
    std::string message;
    try {
      for (; added < 200; added += 4) add_rows(writer, kLarge, added, 4);
    } catch (const Error& error) {
      message = error.what();
    }
    if (!contains(message, path.string()) || !contains(message, "free space")) return false;
    if (added < 40 || writer.size() != added) return false;  // the failed call had no effect
    const std::int64_t on_disk = EmbeddingStore::open(path).size();
    if (on_disk < 20 || on_disk > 40 || EmbeddingStore::open(path).lost_bytes() != 0) return false;
    // There is space again: what waited is written.
    const rlimit more{RLIM_INFINITY, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &more) != 0) return false;
    add_rows(writer, kLarge, added, 4);
    writer.finish();
    return EmbeddingStore::open(path).size() == added + 4;
  });
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  const EmbeddingStore store = EmbeddingStore::open(path);
  expect_rows(store, store.size());
  store.verify();
}

TEST(EmbeddingStoreWriter, WithoutFlushThePendingBlockIsLost) {
  const Place place;
  {
    EmbeddingStoreWriter writer(place / "s", source(), kNarrow);
    add_rows(writer, kNarrow, 0, 3);
    writer.flush();
    add_rows(writer, kNarrow, 3, 3);
    EXPECT_EQ(writer.content(key_of(4)), content_of(4));
  }
  expect_rows(EmbeddingStore::open(place / "s"), 3);
}

TEST(EmbeddingStoreWriter, LargeBatchesBecomeSeveralBlocks) {
  const Place place;
  {
    EmbeddingStoreWriter writer(place / "s", source(), kLarge);
    add_rows(writer, kLarge, 0, 100);  // 3.2 MB
    writer.finish();
  }
  const EmbeddingStore store = EmbeddingStore::open(place / "s");
  EXPECT_EQ(store.blocks(), 4);  // 31 records of 32 KiB each
  expect_rows(store, 100);
  // A record larger than a block is a block of its own.
  constexpr StoreShape kHuge{1 << 20, 1, StoreType::kFloat32};
  EmbeddingStoreWriter writer(place / "huge", source(), kHuge);
  add_rows(writer, kHuge, 0, 2);
  writer.finish();
  EXPECT_EQ(EmbeddingStore::open(place / "huge").blocks(), 2);
  expect_rows(EmbeddingStore::open(place / "huge"), 2);
}

TEST(EmbeddingStoreWriter, ManyThreadsAdd) {
  const Place place;
  {
    EmbeddingStoreWriter writer(place / "s", source(), kLarge);
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&writer, t] {
        for (std::int64_t i = 0; i < 10; ++i) {
          add_rows(writer, kLarge, 40 * t + 4 * i, 4);
          EXPECT_EQ(writer.content(key_of(40 * t + 4 * i)), content_of(40 * t + 4 * i));
        }
      });
    }
    threads.clear();
    EXPECT_EQ(writer.size(), 160);
    writer.finish();
  }
  const EmbeddingStore store = EmbeddingStore::open(place / "s");
  ASSERT_EQ(store.size(), 160);
  store.verify();
  for (std::int64_t i = 0; i < 160; ++i) {
    const auto record = store.find(key_of(i));
    ASSERT_TRUE(record.has_value());
    EXPECT_EQ(store.content(*record), content_of(i));
    EXPECT_TRUE(at::equal(store.rows(std::vector<std::int64_t>{*record})[0], row_of(i, kLarge)));
  }
}

TEST(EmbeddingStoreWriter, OneWriterAFile) {
  const Place place;
  EmbeddingStoreWriter writer(place / "s", source(), kNarrow);
  EXPECT_TRUE(contains(message_of([&] { EmbeddingStoreWriter(place / "s", source(), kNarrow); }), "somebody else"));
  add_rows(writer, kNarrow, 0, 2);
  writer.finish();
  expect_rows(EmbeddingStore::open(place / "s"), 2);  // reading is no matter of locks
}

TEST(EmbeddingStoreWriter, AnotherSourceOrShapeIsRefused) {
  const Place place;
  { EmbeddingStoreWriter(place / "s", source(), kNarrow); }
  const std::string message = message_of([&] { EmbeddingStoreWriter(place / "s", source('b'), kNarrow); });
  EXPECT_TRUE(contains(message, source().describe())) << message;
  EXPECT_TRUE(contains(message, source('b').describe())) << message;
  EXPECT_TRUE(contains(message, (place / "s").string())) << message;
  const std::string shapes = message_of([&] { EmbeddingStoreWriter(place / "s", source(), kLarge); });
  EXPECT_TRUE(contains(shapes, "1 x 8 float16") && contains(shapes, "2 x 4096 float32")) << shapes;
  EXPECT_THROW(EmbeddingStoreWriter(place / "t", source(), StoreShape{0, 1, StoreType::kFloat32}), DataError);
  EXPECT_FALSE(fs::exists(place / "t"));
}

TEST(EmbeddingStoreWriter, NumbersThatAreNotFiniteAreRefused) {
  const Place place;
  EmbeddingStoreWriter writer(place / "s", source(), kNarrow);
  const std::vector<std::string> keys = {"good", "bad"};
  for (const double value : {70000.0, std::numeric_limits<double>::quiet_NaN(), -1.0 / 0.0}) {
    at::Tensor rows = at::ones({2, 8});
    rows[1][3] = value;
    EXPECT_TRUE(contains(message_of([&] { writer.add(keys, std::vector<std::uint64_t>{1, 2}, rows); }), "\"bad\""));
  }
  EXPECT_EQ(writer.size(), 0);
  EXPECT_THROW(writer.add(std::vector<std::string>{""}, std::vector<std::uint64_t>{1}, at::ones({1, 8})), DataError);
}

TEST(MergeStores, LastInputCountsAndASecondCallAddsNothing) {
  const Place place;
  {
    EmbeddingStoreWriter a(place / "a", source(), kNarrow), b(place / "b", source(), kNarrow);
    add_rows(a, kNarrow, 0, 6);
    a.finish();
    const std::vector<std::string> keys = {key_of(2), key_of(9)};
    b.add(keys, std::vector<std::uint64_t>{22, 99}, at::stack({row_of(77, kNarrow), row_of(9, kNarrow)}));
    b.finish();
  }
  const std::vector<fs::path> inputs = {place / "a", place / "b"};
  for (int i = 0; i < 2; ++i) {
    merge_stores(inputs, place / "out");
    const EmbeddingStore out = EmbeddingStore::open(place / "out");
    ASSERT_EQ(out.size(), 7);
    EXPECT_EQ(out.newest().size(), 7u);
    const std::int64_t record = *out.find(key_of(2));
    EXPECT_EQ(out.content(record), 22u);
    EXPECT_TRUE(at::equal(out.rows(std::vector<std::int64_t>{record})[0], row_of(77, kNarrow)));
  }
  EXPECT_THROW(merge_stores(inputs, place / "a"), DataError);
  { EmbeddingStoreWriter(place / "other", source('b'), kNarrow); }
  { EmbeddingStoreWriter(place / "shape", source(), kLarge); }
  EXPECT_THROW(merge_stores(std::vector<fs::path>{place / "a", place / "other"}, place / "new"), DataError);
  EXPECT_THROW(merge_stores(std::vector<fs::path>{place / "a", place / "shape"}, place / "new"), DataError);
  EXPECT_FALSE(fs::exists(place / "new"));
}

}  // namespace
}  // namespace vicha::store_test
