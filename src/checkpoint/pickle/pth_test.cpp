#include "checkpoint/pickle/pth.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "checkpoint/pickle/model_state.h"
#include "checkpoint/pickle/pickle_describe.h"
#include "checkpoint/pickle/zip.h"
#include "checkpoint/tensors/dtypes.h"

namespace vicha {
namespace {

const fs::path kGolden = fs::path(VICHA_SOURCE_DIR) / "tests/golden";

class PthTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path file(const std::string& name) const { return folder_ / name; }
  void put(const std::string& name, std::string_view content) const {
    // Over an older file, without cutting it first: some file systems write that through to the disk.
    const bool over = fs::exists(file(name));
    if (over) fs::resize_file(file(name), content.size());
    const auto mode = over ? std::ios::binary | std::ios::in | std::ios::out : std::ios::binary | std::ios::out;
    std::fstream(file(name), mode).write(content.data(), static_cast<std::streamsize>(content.size()));
  }
  fs::path folder_ = fs::path(::testing::TempDir()) / ("pth_" + std::to_string(::getpid()));
};

bool same_bytes(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  return x.scalar_type() == y.scalar_type() && x.sizes() == y.sizes() &&
         (x.nbytes() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0);
}

bool same_storage(const at::Tensor& a, const at::Tensor& b) {
  return a.storage().unsafeGetStorageImpl() == b.storage().unsafeGetStorageImpl();
}

TEST_F(PthTest, ViewsAndTiedTensorsShareTheirStorage) {
  const StateDict views = flatten_tensors(read_pth(kGolden / "library/pth/views.pth"));
  EXPECT_TRUE(same_storage(views.at("base"), views.at("transposed")));
  EXPECT_EQ(views.at("transposed").strides(), views.at("base").t().strides());
  EXPECT_TRUE(same_bytes(views.at("transposed"), views.at("base").t()));
  const StateDict tied = find_model_state(read_pth(kGolden / "library/pth/tied.pth"));
  ASSERT_EQ(tied.size(), 2U);
  EXPECT_TRUE(same_storage(tied.begin()->second, std::next(tied.begin())->second));
}

TEST_F(PthTest, EveryTypeSurvivesWritingAndReading) {
  StateDict saved;
  Rng rng(9);
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort,
                                    at::kChar, at::kByte, at::kBool, at::kUInt16, at::kUInt32, at::kUInt64,
                                    at::kFloat8_e5m2, at::kFloat8_e4m3fn, at::kComplexFloat, at::kComplexDouble}) {
    const DtypeNames& dtype = *find_dtype(type);
    at::Tensor bytes = at::empty({6 * static_cast<std::int64_t>(c10::elementSize(type))}, at::kByte);
    for (std::int64_t i = 0; i < bytes.numel(); ++i) {
      bytes.data_ptr<std::uint8_t>()[i] = static_cast<std::uint8_t>(rng.below(dtype.type == at::kBool ? 2 : 256));
    }
    saved.set(std::string(dtype.torch), bytes.view(dtype.type).view({3, 2}).t());
  }
  saved.set("scalar", at::scalar_tensor(3, at::kLong));
  saved.set("empty", at::empty({0, 4}));
  write_pth(file("all.pth"), saved);
  const StateDict loaded = find_model_state(read_pth(file("all.pth")));
  ASSERT_EQ(loaded.size(), saved.size());
  auto expected = saved.begin();
  for (const auto& [name, tensor] : loaded) {
    EXPECT_EQ(name, expected->first);
    EXPECT_TRUE(same_bytes(tensor, expected->second)) << name;
    EXPECT_TRUE(tensor.is_contiguous()) << name;
    ++expected;
  }
}

/// What a pickle would have Python look up: each `c` instruction's two lines. Names of tensors come with their length.
std::set<std::string> globals_of(const fs::path& path) {
  ZipReader zip(path);
  const std::string pickle = zip.read(*zip.find("archive/data.pkl"));
  std::set<std::string> found;
  for (std::size_t at = 2; pickle.at(at) != '.';) {
    const char opcode = pickle.at(at++);
    if (opcode == 'c') {
      const std::size_t middle = pickle.find('\n', at), end = pickle.find('\n', middle + 1);
      found.insert(pickle.substr(at, middle - at) + "." + pickle.substr(middle + 1, end - middle - 1));
      at = end + 1;
    } else if (opcode == 'X') {
      std::uint32_t size = 0;
      std::memcpy(&size, pickle.data() + at, 4);
      at += 4 + size;
    } else {
      at += opcode == 'K' ? 1 : opcode == 'J' ? 4 : opcode == '\x8a' ? 9 : 0;
      EXPECT_NE(std::string_view("KJ\x8a()tQR\x89u").find(opcode), std::string_view::npos) << opcode;
    }
  }
  return found;
}

TEST_F(PthTest, WhateverTensorsAreCalledThePickleLooksUpConstantsOnly) {
  StateDict saved;
  for (const std::string name : {"w\ncos\nsystem\n(S'true'\ntR.", "cos\nsystem\n", ".", "", "\x80\x02"}) {
    saved.set(name, at::ones({2, 3}));
  }
  write_pth(file("names.pth"), saved);
  EXPECT_EQ(
      globals_of(file("names.pth")),
      (std::set<std::string>{"collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch.FloatStorage"}));
  saved.erase("\x80\x02");
  write_pth(file("names.pth"), saved);
  EXPECT_EQ(find_model_state(read_pth(file("names.pth"))).size(), 4U);
}

/// Torch reads it: eighty dicts, one in another, under one key of 100,000 letters.
TEST_F(PthTest, ALongKeyThatIsUsedOnManyLevelsCostsNoMore) {
  const PickleValue root = read_pth(kGolden / "hostile/12_path_amplify.pth");
  const StateDict weights = find_model_state(root);
  EXPECT_EQ(weights.size(), 1U);
  EXPECT_EQ(weights.at("w").numel(), 4);
  EXPECT_LT(describe_pickle(root).size(), 1U << 20);
}

TEST_F(PthTest, ModelStatesAreFoundWhereProgramsPutThem) {
  const PickleValue root = read_pth(kGolden / "vicha/checkpoint_last.pth");
  EXPECT_EQ(locate_model_state(root).key, "model");
  EXPECT_EQ(find_model_state(root).size(), 648U);
  EXPECT_NE(root.find("optimizer"), nullptr);
  EXPECT_EQ(locate_model_state(read_pth(kGolden / "library/clip/clip_mini.open_clip_custom_text.pt")).key,
            "state_dict");
  EXPECT_EQ(locate_model_state(read_pth(kGolden / "library/clip/clip_mini.openai.pt")).key, "");
  EXPECT_THROW(locate_model_state(read_pth(kGolden / "library/pth/nested_lists.pth")), DataError);
}

TEST_F(PthTest, EveryTruncationOfBothFormatsIsRefused) {
  for (const char* name : {"library/pth/views.pth", "library/pth/dtypes_legacy.pth", "library/pth/crafted_ok.pth"}) {
    const std::string whole = read_file(kGolden / name);
    for (std::size_t length = 0; length<whole.size(); length += whole.size()> 2100 ? 7 : 1) {
      put("cut.pth", std::string_view(whole).substr(0, length));
      EXPECT_THROW(read_pth(file("cut.pth")), DataError) << name << " at " << length;
    }
  }
}

TEST_F(PthTest, DamagedFilesAreReadOrRefused) {
  Rng rng(21);
  int refused = 0;
  for (const char* name :
       {"library/pth/views.pth", "library/pth/dtypes_legacy.pth", "library/pth/checkpoint_like.pth"}) {
    const std::string whole = read_file(kGolden / name);
    for (int i = 0; i < 250; ++i) {
      std::string damaged = whole;
      for (std::uint64_t n = 1 + rng.below(3); n > 0; --n)
        damaged[rng.below(damaged.size())] = static_cast<char>(rng());
      put("damaged.pth", damaged);
      try {
        flatten_tensors(read_pth(file("damaged.pth")));
      } catch (const DataError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 250);
}

TEST_F(PthTest, ZipArchivesThatLieAreRefused) {
  std::string archive;
  {
    ZipWriter zip([&](std::string_view data) { archive += data; });
    zip.add("a/data.pkl", std::string("N."));
    zip.add("a/data/0", std::string(100, 'x'));
    zip.finish();
  }
  put("good.pth", archive);
  EXPECT_TRUE(read_pth(file("good.pth")).is_none());
  ZipReader zip(file("good.pth"));
  EXPECT_EQ(zip.read(*zip.find("a/data/0")), std::string(100, 'x'));
  EXPECT_EQ(zip.find("a/data/1"), nullptr);

  // The second entry's directory record points at the first one's bytes: both would share them.
  const std::size_t second = archive.rfind("PK\x01\x02");
  std::string overlapping = archive;
  std::memset(overlapping.data() + second + 42, 0, 4);
  put("overlap.pth", overlapping);
  EXPECT_THROW(ZipReader{file("overlap.pth")}, DataError);
  // Two entries of one name.
  std::string twice;
  {
    ZipWriter writer([&](std::string_view data) { twice += data; });
    writer.add("a/data.pkl", std::string("N."));
    writer.add("a/data.pkl", std::string("N."));
    writer.finish();
  }
  put("twice.pth", twice);
  EXPECT_THROW(ZipReader{file("twice.pth")}, DataError);
  // Something before the archive moves everything.
  put("moved.pth", "PK\x03\x04" + archive);
  EXPECT_THROW(ZipReader{file("moved.pth")}, DataError);
}

TEST(Crc32, KnownValuesInPieces) {
  const std::string text = "123456789";
  EXPECT_EQ(crc32(text), 0xcbf43926U);
  std::string longer;
  for (int i = 0; i < 1000; ++i) longer += static_cast<char>(i * 7);
  EXPECT_EQ(crc32(std::span(longer).subspan(13), crc32(std::span(longer).first(13))), crc32(longer));
  EXPECT_EQ(crc32({}), 0U);
}

}  // namespace
}  // namespace vicha
