#include "concepts/store/store.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "checkpoint/pickle/zip.h"
#include "concepts/store/store_format.h"
#include "concepts/store/store_test_support.h"

namespace vicha::store_test {
namespace {

constexpr StoreShape kSmallHalf{8, 1, StoreType::kFloat16}, kSmallFull{8, 1, StoreType::kFloat32},
    kSmallRegions{4, 3, StoreType::kFloat16};

/// Three blocks of 4, 3 and 2 records.
void write_small(const fs::path& path, const StoreShape& shape) {
  EmbeddingStoreWriter writer(path, source(), shape);
  add_rows(writer, shape, 0, 4);
  writer.flush();
  add_rows(writer, shape, 4, 3);
  writer.flush();
  add_rows(writer, shape, 7, 2);
  writer.finish();
}

TEST(EmbeddingStore, GivesBackWhatWasAdded) {
  for (const StoreShape& shape : {kSmallHalf, kSmallFull, kSmallRegions}) {
    const Place place;
    write_small(place / "s", shape);
    const EmbeddingStore store = EmbeddingStore::open(place / "s");
    EXPECT_TRUE(store.source().same(source()));
    EXPECT_EQ(store.source().name, "tiny");
    EXPECT_EQ(store.shape().vectors, shape.vectors);
    EXPECT_EQ(store.blocks(), 3);
    EXPECT_EQ(store.lost_bytes(), 0);
    expect_rows(store, 9);
    store.verify();
    const std::vector<std::int64_t> some = {8, 2, 3, 4, 0, 0};
    const at::Tensor rows = store.rows(some);
    for (std::size_t i = 0; i < some.size(); ++i) {
      EXPECT_TRUE(at::equal(rows[static_cast<std::int64_t>(i)], row_of(some[i], shape)));
    }
    EXPECT_EQ(store.rows({}).size(0), 0);
  }
}

TEST(EmbeddingStore, RoundsToHalfAsAtenDoes) {
  const Place place;
  const at::Tensor values = at::randn({200, 8}).mul(100);
  std::vector<std::string> keys;
  std::vector<std::int64_t> records;
  for (int i = 0; i < 200; ++i) {
    keys.push_back(key_of(i));
    records.push_back(i);
  }
  {
    EmbeddingStoreWriter writer(place / "s", source(), kSmallHalf);
    writer.add(keys, std::vector<std::uint64_t>(200), values);
    writer.finish();
  }
  const at::Tensor back = EmbeddingStore::open(place / "s").rows(records);
  EXPECT_TRUE(at::equal(back.squeeze(1), values.to(at::kHalf).to(at::kFloat)));
}

TEST(EmbeddingStore, NewestRecordOfAKeyCounts) {
  const Place place;
  {
    EmbeddingStoreWriter writer(place / "s", source(), kSmallHalf);
    add_rows(writer, kSmallHalf, 0, 3);
    writer.flush();
    const std::vector<std::string> keys = {key_of(1)};
    writer.add(keys, std::vector<std::uint64_t>{7}, row_of(5, kSmallHalf));
    EXPECT_EQ(writer.content(key_of(1)), 7u);
    EXPECT_EQ(writer.size(), 4);
    writer.finish();
  }
  const EmbeddingStore store = EmbeddingStore::open(place / "s");
  EXPECT_EQ(store.size(), 4);
  EXPECT_EQ(store.find(key_of(1)), 3);
  EXPECT_EQ(store.newest(), (std::vector<std::int64_t>{0, 2, 3}));
  EXPECT_TRUE(at::equal(store.rows(std::vector<std::int64_t>{3})[0], row_of(5, kSmallHalf)));
}

TEST(EmbeddingStore, OpensAndContinuesWhereverItWasCut) {
  int warnings = 0;
  log::set_sink([&](log::Level level, std::string_view) { warnings += level == log::Level::kWarning; });
  for (const StoreShape& shape : {kSmallHalf, kSmallRegions}) {
    const Place place;
    write_small(place / "whole", shape);
    const std::string bytes = read_file(place / "whole");
    const store_detail::StoreHeader header =
        *store_detail::decode_file_header(std::as_bytes(std::span(bytes)), "whole");
    const store_detail::StoreScan scan = store_detail::scan_blocks(std::as_bytes(std::span(bytes)), header, "whole");
    ASSERT_EQ(scan.blocks.size(), 3u);
    const std::uint64_t ends[] = {scan.blocks[1].begin, scan.blocks[2].begin, bytes.size()};
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      SCOPED_TRACE(cut);
      const std::int64_t kept = cut >= ends[1] ? 7 : cut >= ends[0] ? 4 : 0;
      const std::uint64_t whole = cut >= ends[1] ? ends[1] : cut >= ends[0] ? ends[0] : header.size;
      write_bytes(place / "cut", std::string_view(bytes).substr(0, cut));
      if (cut < header.size) {
        EXPECT_THROW(EmbeddingStore::open(place / "cut"), DataError);
      } else {
        const EmbeddingStore store = EmbeddingStore::open(place / "cut");
        expect_rows(store, kept);
        EXPECT_EQ(store.lost_bytes(), static_cast<std::int64_t>(cut - whole));
        store.verify();
      }
      {
        EmbeddingStoreWriter writer(place / "cut", source(), shape);
        EXPECT_EQ(writer.size(), kept);
        add_rows(writer, shape, kept, 9 - kept);
        writer.finish();
      }
      const EmbeddingStore store = EmbeddingStore::open(place / "cut");
      expect_rows(store, 9);
      EXPECT_EQ(store.lost_bytes(), 0);
      if (HasFailure()) break;
    }
  }
  log::set_sink({});
  EXPECT_GT(warnings, 1000);
}

TEST(EmbeddingStore, AHeaderOfDeepListsIsRefused) {
  const std::string json = "{\"source\":" + std::string(32'000, '[') + std::string(32'000, ']') +
                           R"(,"width":2,"vectors":1,"type":"float16"})";
  const std::uint32_t numbers[] = {store_detail::kPlainVersion, static_cast<std::uint32_t>(json.size())};
  std::string bytes = "VICHAEMB" + std::string(reinterpret_cast<const char*>(numbers), sizeof numbers) + json;
  bytes.append((124 - bytes.size() % 64) % 64, '\0');
  const std::uint32_t sum = crc32(bytes);
  bytes.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  const Place place;
  write_bytes(place / "deep", bytes);
  EXPECT_TRUE(contains(message_of([&] { EmbeddingStore::open(place / "deep"); }), "not readable"));
}

// Whichever bit is wrong, wrong data is never returned, and only the last block may be skipped.
TEST(EmbeddingStore, DamageIsNoticed) {
  const Place place;
  write_small(place / "whole", kSmallHalf);
  const std::string bytes = read_file(place / "whole");
  const store_detail::StoreHeader header = *store_detail::decode_file_header(std::as_bytes(std::span(bytes)), "whole");
  const auto blocks = store_detail::scan_blocks(std::as_bytes(std::span(bytes)), header, "whole").blocks;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    SCOPED_TRACE(at);
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
    write_bytes(place / "bad", damaged);
    if (at < header.size) {
      EXPECT_THROW(EmbeddingStore::open(place / "bad"), DataError);
      continue;
    }
    const std::size_t block = at >= blocks[2].begin ? 2 : at >= blocks[1].begin ? 1 : 0;
    try {
      const EmbeddingStore store = EmbeddingStore::open(place / "bad");
      if (store.size() != 9) {
        EXPECT_EQ(store.size(), 7);
        EXPECT_EQ(block, 2u);
      }
      store.verify();
      expect_rows(store, 9);  // the bit was in the zeros between two parts
    } catch (const DataError& error) {
      EXPECT_TRUE(contains(error.what(), (place / "bad").string())) << error.what();
      EXPECT_TRUE(contains(error.what(), fmt::format("block {} ", block))) << error.what();
    }
    if (HasFailure()) return;
  }
}

TEST(EmbeddingStore, DamagedVectorsAreNotGivenOut) {
  const Place place;
  write_small(place / "s", kSmallHalf);
  std::string bytes = read_file(place / "s");
  const store_detail::StoreHeader header = *store_detail::decode_file_header(std::as_bytes(std::span(bytes)), "s");
  const auto blocks = store_detail::scan_blocks(std::as_bytes(std::span(bytes)), header, "s").blocks;
  bytes[blocks[1].vectors] ^= 1;
  write_bytes(place / "s", bytes);
  const EmbeddingStore store = EmbeddingStore::open(place / "s");
  EXPECT_EQ(store.size(), 9);
  EXPECT_NO_THROW(store.rows(std::vector<std::int64_t>{0, 3, 8}));
  const std::string message = message_of([&] { store.rows(std::vector<std::int64_t>{3, 4}); });
  EXPECT_TRUE(contains(message, "block 1 ")) << message;
  EXPECT_TRUE(contains(message, fmt::format("truncate -s {}", blocks[1].begin))) << message;
}

TEST(EmbeddingStore, ZerosAtTheEndAreAnUnfinishedBlock) {
  const Place place;
  write_small(place / "s", kSmallHalf);
  const std::string bytes = read_file(place / "s");
  write_bytes(place / "s", bytes + std::string(1000, '\0'));
  const EmbeddingStore store = EmbeddingStore::open(place / "s");
  expect_rows(store, 9);
  EXPECT_EQ(store.lost_bytes(), 1000);
  store.verify();
  // More than one unfinished write can leave is damage, not a cut.
  write_bytes(place / "s", bytes + std::string(3 << 20, '\0'));
  EXPECT_THROW(EmbeddingStore::open(place / "s"), DataError);
}

TEST(EmbeddingStore, OtherFilesAreRefused) {
  const Place place;
  EXPECT_THROW(EmbeddingStore::open(place / "nothing"), DataError);
  EXPECT_THROW(EmbeddingStore::open(place / ""), DataError);
  write_bytes(place / "json", R"([{"image": "a.jpg"}])");
  EXPECT_TRUE(contains(message_of([&] { EmbeddingStore::open(place / "json"); }), "is not an embedding store"));
  EXPECT_TRUE(
      contains(message_of([&] { EmbeddingStoreWriter(place / "json", source(), kSmallHalf); }), "is not an embedding"));
  EXPECT_EQ(read_file(place / "json"), R"([{"image": "a.jpg"}])");
  write_small(place / "s", kSmallHalf);
  std::string bytes = read_file(place / "s");
  bytes[8] = 3;
  write_bytes(place / "later", bytes);
  EXPECT_TRUE(contains(message_of([&] { EmbeddingStore::open(place / "later"); }), "version 3"));
}

TEST(EmbeddingStore, ReadsFromManyThreads) {
  const Place place;
  constexpr StoreShape kWide{512, 1, StoreType::kFloat16};
  {
    EmbeddingStoreWriter writer(place / "s", source(), kWide);
    for (int i = 0; i < 30; ++i) add_rows(writer, kWide, 100 * i, 100);
    writer.finish();
  }
  const EmbeddingStore store = EmbeddingStore::open(place / "s");
  ASSERT_EQ(store.size(), 3000);
  EXPECT_GE(store.blocks(), 3);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, t] {
      for (std::int64_t i = t; i < store.size(); i += 7) {
        ASSERT_TRUE(at::equal(store.rows(std::vector<std::int64_t>{i})[0], row_of(i, store.shape())));
      }
    });
  }
}

}  // namespace
}  // namespace vicha::store_test
