// A small store whose rows can be told from their keys, for the tests of stores.
#pragma once

#include <ATen/Functions.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "concepts/store/store.h"

namespace vicha::store_test {

inline SourceWeights source(char digit = 'a') { return {"clip", "tiny", std::string(64, digit), "clip 32"}; }

/// A folder that goes away with the object; in memory where there is such a place, as these tests sync thousands of
/// times.
class Place {
 public:
  Place() {
    static int number = 0;
    const std::filesystem::path memory = "/dev/shm";
    folder_ = (std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path()) /
              fmt::format("vicha_store_{}_{}", ::getpid(), number++);
    std::filesystem::create_directories(folder_);
  }
  ~Place() { std::filesystem::remove_all(folder_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  std::filesystem::path folder_;
};

inline std::string key_of(std::int64_t i) { return fmt::format("images/{:05}.jpg", i); }
inline std::uint64_t content_of(std::int64_t i) { return static_cast<std::uint64_t>(i) * 0x9e3779b97f4a7c15u + 1; }
/// [vectors, width]; exact in fp16.
inline at::Tensor row_of(std::int64_t i, const StoreShape& shape) {
  return at::arange(shape.vectors * shape.width, at::kFloat)
      .remainder(7)
      .add(static_cast<double>(i % 1000))
      .view({shape.vectors, shape.width});
}

inline void add_rows(EmbeddingStoreWriter& writer, const StoreShape& shape, std::int64_t first, std::int64_t count) {
  std::vector<std::string> keys;
  std::vector<std::uint64_t> contents;
  std::vector<at::Tensor> rows;
  for (std::int64_t i = first; i < first + count; ++i) {
    keys.push_back(key_of(i));
    contents.push_back(content_of(i));
    rows.push_back(row_of(i, shape));
  }
  writer.add(keys, contents, at::stack(rows));
}

/// Records [0, size) are those of keys 0 … size - 1, in this order.
inline void expect_rows(const EmbeddingStore& store, std::int64_t size) {
  ASSERT_EQ(store.size(), size);
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < size; ++i) {
    all.push_back(i);
    ASSERT_EQ(store.key(i), key_of(i));
    ASSERT_EQ(store.content(i), content_of(i));
    ASSERT_EQ(store.find(key_of(i)), i);
  }
  const at::Tensor rows = store.rows(all);
  for (std::int64_t i = 0; i < size; ++i) ASSERT_TRUE(at::equal(rows[i], row_of(i, store.shape())));
  ASSERT_EQ(store.find(key_of(size)), std::nullopt);
}

inline void write_bytes(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// The message of the Error that `run` throws; fails if it throws none.
template <class Run>
std::string message_of(Run&& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace vicha::store_test
