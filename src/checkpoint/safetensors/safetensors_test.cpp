#include "checkpoint/safetensors/safetensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "checkpoint/tensors/dtypes.h"

namespace vicha {
namespace {

class SafetensorsTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path file(const std::string& name) const { return folder_ / name; }
  fs::path folder_ = fs::path(::testing::TempDir()) / ("safetensors_" + std::to_string(::getpid()));
};

bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  return x.scalar_type() == y.scalar_type() && x.sizes() == y.sizes() &&
         (x.nbytes() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0);
}

at::Tensor random_bytes_as(c10::ScalarType type, std::int64_t count, Rng& rng) {
  at::Tensor bytes = at::empty({count * static_cast<std::int64_t>(c10::elementSize(type))}, at::kByte);
  for (std::int64_t i = 0; i < bytes.numel(); ++i) {
    bytes.data_ptr<std::uint8_t>()[i] = static_cast<std::uint8_t>(rng.below(type == at::kBool ? 2 : 256));
  }
  return bytes.view(type);
}

StateDict all_kinds() {
  Rng rng(3);
  StateDict tensors;
  for (const at::ScalarType type :
       {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort, at::kChar, at::kByte,
        at::kBool, at::kUInt16, at::kUInt32, at::kUInt64, at::kFloat8_e5m2, at::kFloat8_e4m3fn, at::kComplexFloat}) {
    tensors.set(std::string(find_dtype(type)->torch), random_bytes_as(type, 6, rng).view({2, 3}));
  }
  tensors.set("scalar", at::scalar_tensor(0.07, at::kFloat));
  tensors.set("empty", at::empty({0, 3}, at::kHalf));
  tensors.set("odd", at::arange(3, at::kByte));
  tensors.set("transposed", at::arange(6, at::kFloat).view({2, 3}).t());
  tensors.set("name with \"quotes\" and ü", at::arange(2, at::kLong));
  return tensors;
}

TEST_F(SafetensorsTest, KeepsEveryTypeTheOrderAndTheMetadata) {
  const StateDict saved = all_kinds();
  const Metadata metadata = {{"format", "pt"}, {"note", "line\nbreak \x01 and ü"}};
  write_safetensors(file("a.safetensors"), saved, metadata);
  for (const bool map : {false, true}) {
    Metadata read_metadata;
    const StateDict loaded = read_safetensors(file("a.safetensors"), &read_metadata, map);
    EXPECT_EQ(read_metadata, metadata);
    ASSERT_EQ(loaded.size(), saved.size());
    auto expected = saved.begin();
    for (const auto& [name, tensor] : loaded) {
      EXPECT_EQ(name, expected->first);
      EXPECT_TRUE(same_bytes(tensor, expected->second)) << name;
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr()) % tensor.element_size(), 0U) << name;
      ++expected;
    }
  }
  const auto infos = read_safetensors_header(file("a.safetensors"));
  ASSERT_EQ(infos.size(), saved.size());
  EXPECT_EQ(infos[0].name, "float64");
  EXPECT_EQ(infos[0].shape, (std::vector<std::int64_t>{2, 3}));
}

TEST_F(SafetensorsTest, AMapOutlivesTheFilesNameAndMatchesTheCopy) {
  StateDict saved;
  saved.set("w", at::randn({100, 7}));
  write_safetensors(file("w.safetensors"), saved);
  const StateDict mapped = read_safetensors(file("w.safetensors"), nullptr, true);
  fs::remove(file("w.safetensors"));
  EXPECT_TRUE(same_bytes(mapped.at("w"), saved.at("w")));
}

TEST_F(SafetensorsTest, BoolsThatAreNeitherZeroNorOneBecomeOne) {
  const std::string header = R"({"b":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})";
  std::string content(8, '\0');
  content[0] = static_cast<char>(header.size());
  content += header + std::string("\x00\x07\x01", 3);
  write_file_atomic(file("b.safetensors"), content);
  for (const bool map : {false, true}) {
    const at::Tensor b = read_safetensors(file("b.safetensors"), nullptr, map).at("b").view(at::kByte);
    EXPECT_TRUE(at::equal(b, at::tensor({0, 1, 1}, at::kByte)));
  }
}

TEST_F(SafetensorsTest, RefusesToWriteWhatCannotBeRead) {
  StateDict complex_numbers, reserved, undefined, bad_name;
  complex_numbers.set("c", at::zeros({2}, at::kComplexDouble));
  reserved.set("__metadata__", at::zeros({2}));
  undefined.set("u", at::Tensor());
  bad_name.set("\xff", at::zeros({2}));
  for (const StateDict* tensors : {&complex_numbers, &reserved, &undefined, &bad_name}) {
    EXPECT_THROW(write_safetensors(file("no.safetensors"), *tensors), DataError);
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(SafetensorsTest, EveryTruncationIsRefused) {
  StateDict tensors;
  tensors.set("a", at::arange(4, at::kFloat));
  tensors.set("b", at::arange(3, at::kLong));
  write_safetensors(file("whole.safetensors"), tensors, {{"k", "v"}});
  const std::string whole = read_file(file("whole.safetensors"));
  fs::copy_file(file("whole.safetensors"), file("cut"));
  for (std::size_t length = whole.size(); length-- > 0;) {
    fs::resize_file(file("cut"), length);
    EXPECT_THROW(read_safetensors(file("cut")), DataError) << length;
    EXPECT_THROW(read_safetensors(file("cut"), nullptr, true), DataError) << length;
  }
}

TEST_F(SafetensorsTest, DamagedFilesAreReadOrRefusedButNeverCrash) {
  write_safetensors(file("whole.safetensors"), all_kinds(), {{"k", "v"}});
  const std::string whole = read_file(file("whole.safetensors"));
  fs::copy_file(file("whole.safetensors"), file("damaged"));
  Rng rng(11);
  int refused = 0;
  for (int i = 0; i < 600; ++i) {
    std::string damaged = whole;
    for (std::uint64_t n = 1 + rng.below(4); n > 0; --n) damaged[rng.below(damaged.size())] = static_cast<char>(rng());
    std::fstream(file("damaged"), std::ios::binary | std::ios::in | std::ios::out) << damaged;
    try {
      for (const auto& [name, tensor] : read_safetensors(file("damaged"), nullptr, i % 2 == 0)) {
        ASSERT_LE(tensor.nbytes(), whole.size());
      }
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 50);
}

TEST_F(SafetensorsTest, TheMessageNamesTheFileAndTheTensor) {
  try {
    read_safetensors(fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/safetensors_bad/size_mismatch.safetensors");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("size_mismatch.safetensors: tensor 'w' needs"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW(read_safetensors(file("not_there")), DataError);
  EXPECT_THROW(read_safetensors(folder_), DataError);
}

}  // namespace
}  // namespace vicha
