#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/safetensors/safetensors.h"
#include "concepts/store/store.h"
#include "concepts/store/store_npy.h"
#include "concepts/store/store_test_support.h"

namespace vicha::store_test {
namespace {

void write_store(const fs::path& path, const StoreShape& shape) {
  EmbeddingStoreWriter writer(path, source(), shape);
  add_rows(writer, shape, 0, 5);
  const std::vector<std::string> old = {key_of(0)};
  writer.add(old, std::vector<std::uint64_t>{content_of(0)},
             row_of(0, shape).unsqueeze(0));  // record 0 has been replaced
  writer.finish();
}

TEST(StoreExport, ComesBackFromBothFormats) {
  for (const StoreShape& shape : {StoreShape{8, 1, StoreType::kFloat16}, StoreShape{8, 1, StoreType::kFloat32},
                                  StoreShape{4, 3, StoreType::kFloat16}}) {
    for (const char* name : {"e.safetensors", "e.npy"}) {
      SCOPED_TRACE(name);
      const Place place;
      write_store(place / "s", shape);
      export_store(EmbeddingStore::open(place / "s"), place / name);
      import_store(place / name, place / "back", source(), shape.type);
      const EmbeddingStore back = EmbeddingStore::open(place / "back");
      ASSERT_EQ(back.size(), 5);
      EXPECT_EQ(back.shape().vectors, shape.vectors);
      for (std::int64_t i = 0; i < 5; ++i) {
        const std::int64_t record = *back.find(key_of(i));
        EXPECT_EQ(record, (i + 4) % 5);  // the order of the store, newest only
        EXPECT_EQ(back.content(record), content_of(i));
        EXPECT_TRUE(at::equal(back.rows(std::vector<std::int64_t>{record})[0], row_of(i, shape)));
      }
    }
  }
}

TEST(StoreExport, SafetensorsAreThoseOfTheLibrary) {
  const Place place;
  write_store(place / "s", {8, 1, StoreType::kFloat16});
  export_store(EmbeddingStore::open(place / "s"), place / "e.safetensors");
  Metadata metadata;
  const StateDict tensors = read_safetensors(place / "e.safetensors", &metadata);
  EXPECT_EQ(tensors.at("embeddings").sizes(), at::IntArrayRef({5, 8}));
  EXPECT_EQ(tensors.at("embeddings").scalar_type(), at::kHalf);
  EXPECT_TRUE(contains(metadata.at("keys"), "[\"images/00001.jpg\",\"images/00002.jpg\""));
  EXPECT_TRUE(exported_source(place / "e.safetensors")->same(source()));
  EXPECT_TRUE(contains(
      message_of([&] { import_store(place / "e.safetensors", place / "x", source('b'), StoreType::kFloat16); }),
      source().describe()));
  EXPECT_FALSE(fs::exists(place / "x"));
}

TEST(StoreExport, NumpyHeaderIsNumpys) {
  const std::string header = store_detail::encode_npy_header("<f2", {5, 8});
  ASSERT_EQ(header.size(), 128u);  // what numpy.save writes for this array
  EXPECT_EQ(header.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(header.substr(10, 59), "{'descr': '<f2', 'fortran_order': False, 'shape': (5, 8), }");
  EXPECT_EQ(header.back(), '\n');
  const store_detail::NpyHeader back = store_detail::decode_npy_header(header + "data", "x");
  EXPECT_EQ(back.type, "<f2");
  EXPECT_EQ(back.shape, (std::vector<std::int64_t>{5, 8}));
  EXPECT_EQ(back.data, 128u);
  EXPECT_EQ(store_detail::decode_npy_header(store_detail::encode_npy_header("<f4", {3}), "x").shape.size(), 1u);
}

std::string npy(const std::string& dict, std::size_t data = 64) {
  std::string out("\x93NUMPY\x01\x00", 8);
  out += {static_cast<char>(dict.size()), '\0'};
  return out + dict + std::string(data, '\0');
}

TEST(StoreImport, BadNumpyFilesAreRefused) {
  const Place place;
  write_bytes(place / "e.keys.txt", "a\nb\n");
  const std::pair<std::string, const char*> cases[] = {
      {"text", "is not a NumPy file"},
      {npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 8)}"), "column by column"},
      {npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 8)}"), "'<i4'"},
      {npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 8)}"), "several fields"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 9)}"), "has 64 bytes"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9)}"), "has 64 bytes"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 9, 0)}"), "has 64 bytes"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (16,)}"), "array of 1 dimensions"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, -8)}"), "not readable"},
      {npy("{'descr': '<f4', 'fortran_order': False}"), "not readable"},
      {npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 8)}"), "not readable"},
      {npy("{'descr': '<f4'"), "not readable"},
      {npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 16)}"), "2 keys"},
  };
  for (const auto& [bytes, expected] : cases) {
    write_bytes(place / "e.npy", bytes);
    const std::string message =
        message_of([&] { import_store(place / "e.npy", place / "out", source(), StoreType::kFloat16); });
    EXPECT_TRUE(contains(message, expected)) << message;
  }
  EXPECT_FALSE(fs::exists(place / "out"));
  write_bytes(place / "e.npy", npy("{\"shape\":(2,8),'fortran_order':False , 'descr':'<f4',}\n"));
  import_store(place / "e.npy", place / "out", source(), StoreType::kFloat16);
  const EmbeddingStore out = EmbeddingStore::open(place / "out");
  EXPECT_EQ(out.size(), 2);
  EXPECT_EQ(out.content(1), 0u);
}

TEST(StoreImport, BadContentIsRefusedBeforeAnythingIsWritten) {
  const Place place;
  const auto refused = [&](const at::Tensor& rows, const Metadata& metadata, const char* expected) {
    StateDict tensors;
    tensors.set("embeddings", rows);
    write_safetensors(place / "e.safetensors", tensors, metadata);
    const std::string message =
        message_of([&] { import_store(place / "e.safetensors", place / "out", source(), StoreType::kFloat16); });
    EXPECT_TRUE(contains(message, expected)) << message;
    EXPECT_FALSE(fs::exists(place / "out"));
  };
  const Metadata keys = {{"keys", R"(["a", "b"])"}};
  at::Tensor odd = at::ones({2, 4});
  odd[1][2] = std::numeric_limits<float>::infinity();
  refused(odd, keys, "row 1 (\"b\")");
  refused(at::full({2, 4}, 1e6), keys, "row 0 (\"a\")");
  refused(at::ones({3, 4}), keys, "2 keys");
  refused(at::ones({2, 4}, at::kLong), keys, "2 dimensions of Long");
  refused(at::ones({2}), keys, "1 dimensions");
  refused(at::ones({2, 0}), keys, "0 numbers");
  refused(at::ones({2, 4}), {}, "\"keys\"");
  refused(at::ones({2, 4}), {{"keys", R"(["a", 3])"}}, "list of strings");
  refused(at::ones({2, 4}), {{"keys", R"(["a", "a"])"}}, "rows 0 and 1");
  refused(at::ones({2, 4}), {{"keys", R"(["a", ""])"}}, "row 1");
  refused(at::ones({2, 4}), {{"keys", R"(["a", "b"])"}, {"contents", R"(["12"])"}}, "16 hexadecimal");
  EXPECT_THROW(import_store(place / "e.bin", place / "out", source(), StoreType::kFloat16), UsageError);
}

}  // namespace
}  // namespace vicha::store_test
