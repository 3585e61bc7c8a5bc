#include "checkpoint/files/convert.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/pickle/model_state.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/pickle/zip.h"
#include "checkpoint/safetensors/safetensors.h"
#include "checkpoint/tensors/dtypes.h"

namespace vicha {
namespace {

using namespace std::string_literals;

const fs::path kGolden = fs::path(VICHA_SOURCE_DIR) / "tests/golden";

class ConvertTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path file(const std::string& name) const { return folder_ / name; }
  fs::path folder_ = fs::path(::testing::TempDir()) / ("convert_" + std::to_string(::getpid()));
};

void expect_same(const StateDict& ours, const StateDict& expected, const std::string& what) {
  ASSERT_EQ(ours.size(), expected.size()) << what;
  auto other = expected.begin();
  for (const auto& [name, tensor] : ours) {
    EXPECT_EQ(name, other->first) << what;
    EXPECT_EQ(tensor.scalar_type(), other->second.scalar_type()) << name;
    const at::Tensor a = tensor.contiguous(), b = other->second.contiguous();  // bytes, as NaN equals nothing
    ASSERT_EQ(a.sizes(), b.sizes()) << name;
    EXPECT_TRUE(a.nbytes() == 0 || std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0) << name;
    ++other;
  }
}

/// "module name" of everything that the pickle of a .pth of ours would have Python look up. The texts, which are the
/// only part that a file decides, are stepped over by their length.
std::set<std::string> globals_of(const fs::path& pth) {
  ZipReader zip(pth);
  const std::string pickle = zip.read(*zip.find("archive/data.pkl"));
  std::set<std::string> globals;
  std::size_t at = 2;
  while (at < pickle.size()) {
    const char opcode = pickle[at++];
    if (opcode == 'X') {
      std::uint32_t size = 0;
      std::memcpy(&size, pickle.data() + at, 4);
      at += 4 + size;
    } else if (opcode == 'c') {
      const std::size_t line = pickle.find('\n', at), end = pickle.find('\n', line + 1);
      globals.insert(pickle.substr(at, line - at) + " " + pickle.substr(line + 1, end - line - 1));
      at = end + 1;
    } else {
      at += opcode == 'J' ? 4 : opcode == 'K' ? 1 : opcode == '\x8a' ? 9 : 0;
      EXPECT_NE(std::string("JK\x8a(tQRu)\x89.").find(opcode), std::string::npos) << "opcode " << int(opcode);
    }
  }
  return globals;
}

TEST_F(ConvertTest, TheWeightsKeepTheirNamesAndValuesBothWays) {
  for (const char* name :
       {"vicha/checkpoint_last.pth", "library/pth/checkpoint_like.pth", "library/pth/tied.pth",
        "library/pth/dtypes_legacy.pth", "library/pth/ordered_metadata.pth", "library/pth/parameter.pth",
        "library/pth/many.pth", "library/pth/views.pth", "library/pth/checkpoint_ruamel_config.pth",
        "library/clip/clip_mini.open_clip_custom_text.pt"}) {
    const StateDict weights = find_model_state(read_pth(kGolden / name));
    convert_weights(kGolden / name, file("there.safetensors"));
    expect_same(read_safetensors(file("there.safetensors")), weights, name);
    convert_weights(file("there.safetensors"), file("back.pth"));
    expect_same(find_model_state(read_pth(file("back.pth"))), weights, name);
  }
}

TEST_F(ConvertTest, TheRestOfACheckpointIsDescribedBesideIt) {
  const Conversion done =
      convert_pth_to_safetensors(kGolden / "library/pth/checkpoint_like.pth", file("a.safetensors"));
  EXPECT_EQ(done.tensors, 6U);
  ASSERT_EQ(done.rest, file("a.rest.json"));
  const auto rest = nlohmann::json::parse(read_file(done.rest));
  EXPECT_TRUE(rest.at("epoch").is_number());
  EXPECT_TRUE(rest.at("model").is_string());
  EXPECT_EQ(rest.at("optimizer").at("state").at("0").at("exp_avg").at("tensor"), "float32");
  // A bare state dict has nothing else.
  EXPECT_TRUE(convert_pth_to_safetensors(kGolden / "library/pth/views.pth", file("b.safetensors")).rest.empty());
  EXPECT_FALSE(fs::exists(file("b.rest.json")));
  const auto ruamel =
      convert_pth_to_safetensors(kGolden / "library/pth/checkpoint_ruamel_config.pth", file("c.safetensors"));
  EXPECT_FALSE(nlohmann::json::parse(read_file(ruamel.rest)).at("config").empty());
}

TEST_F(ConvertTest, WhatLiesBesideTheResultIsNotOverwritten) {
  const fs::path from = kGolden / "library/pth/checkpoint_like.pth";
  write_file_atomic(file("a.rest.json"), "mine");
  EXPECT_EQ(convert_pth_to_safetensors(from, file("a.safetensors")).rest, file("a.rest.2.json"));
  EXPECT_EQ(read_file(file("a.rest.json")), "mine");
  // The same again makes no third.
  EXPECT_EQ(convert_pth_to_safetensors(from, file("a.safetensors")).rest, file("a.rest.2.json"));
  // The checkpoint itself may have the description's name.
  fs::copy_file(from, file("b.rest.json"));
  convert_weights(file("b.rest.json"), file("b.safetensors"));
  EXPECT_EQ(read_file(file("b.rest.json")), read_file(from));
}

TEST_F(ConvertTest, ShardsBecomeOneFile) {
  for (const char* name : {"a", "b"}) {
    StateDict one;
    one.set(name, at::ones({2}));
    write_safetensors(file(std::string(name) + ".safetensors"), one);
  }
  write_file_atomic(file("model.safetensors.index.json"),
                    R"({"weight_map":{"a":"a.safetensors","b":"b.safetensors"}})");
  for (const fs::path& from : {folder_, file("model.safetensors.index.json")}) {
    EXPECT_EQ(convert_weights(from, file("joined.pth")).tensors, 2U);
    EXPECT_EQ(find_model_state(read_pth(file("joined.pth"))).size(), 2U);
    EXPECT_EQ(convert_weights(from, file("joined.safetensors")).tensors, 2U);
    EXPECT_THROW(convert_weights(from, file("a.safetensors")), UsageError);
  }
}

TEST_F(ConvertTest, TheResultIsNotTheSource) {
  fs::copy_file(kGolden / "library/pth/checkpoint_like.pth", file("a.safetensors"));
  const std::string before = read_file(file("a.safetensors"));
  fs::create_symlink(file("a.safetensors"), file("link.safetensors"));
  EXPECT_THROW(convert_weights(file("a.safetensors"), file("a.safetensors")), UsageError);
  EXPECT_THROW(convert_weights(file("a.safetensors"), file("link.safetensors")), UsageError);
  EXPECT_EQ(read_file(file("a.safetensors")), before);
}

TEST_F(ConvertTest, ManyViewsOfOneStorageAreRefused) {
  // A storage of 1 MB and 200 tensors that are all of it.
  std::string pickle = "\200\002}(";
  for (int i = 0; i < 200; ++i) {
    pickle += "U\003" + std::to_string(100 + i) +
              "ctorch._utils\n_rebuild_tensor_v2\n((U\007storagectorch\nFloatStorage\nU\0010U\003cpu"
              "J\000\000\004\000tQK\000(J\000\000\004\000t(K\001t\211ccollections\nOrderedDict\n)RtR"s;
  }
  pickle += "u.";
  std::string bytes;
  ZipWriter zip([&](std::string_view piece) { bytes += piece; });
  zip.add("a/data.pkl", pickle);
  zip.add("a/data/0", std::string(1 << 20, '\0'));
  zip.finish();
  write_file_atomic(file("views.pth"), bytes);
  try {
    convert_weights(file("views.pth"), file("views.safetensors"));
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("many views of the same data"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(fs::exists(file("views.safetensors")));
}

/// Whatever names and metadata say: two functions, the types of storages, and texts.
TEST_F(ConvertTest, APthOfOursLooksUpConstantsOnly) {
  StateDict tensors;
  tensors.set("w\ncos\nsystem\n", at::ones({2}));
  tensors.set("cposix\nsystem\n(X\x02\x00\x00\x00idtR.", at::ones({2}, at::kLong));
  tensors.set(std::string(70000, 'c'), at::ones({300, 2}, at::kBFloat16));
  const char* tree =
      R"({"$object":["ruamel.yaml.main","unsafe_load"],"called":true,"arguments":["!!python/object/apply:os.system [id]"],)"
      R"("appended":[],"items":[],"state":[]})";
  write_safetensors(file("evil.safetensors"), tensors, {{"vicha.pth", tree}, {"c", "cos\nsystem\n"}});
  convert_weights(file("evil.safetensors"), file("evil.pth"));
  EXPECT_EQ(globals_of(file("evil.pth")),
            (std::set<std::string>{"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch FloatStorage",
                                   "torch LongStorage", "torch BFloat16Storage"}));
  expect_same(find_model_state(read_pth(file("evil.pth"))), tensors, "evil");

  StateDict every;
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort,
                                    at::kChar, at::kByte, at::kBool, at::kUInt16, at::kUInt32, at::kUInt64,
                                    at::kFloat8_e5m2, at::kFloat8_e4m3fn, at::kComplexFloat, at::kComplexDouble})
    every.set(std::string(find_dtype(type)->torch), at::empty({3, 0}, type));
  write_pth(file("every.pth"), every);
  for (const std::string& global : globals_of(file("every.pth"))) {
    const std::string name = global.substr(global.find(' ') + 1);
    EXPECT_TRUE(global == "collections OrderedDict" || global == "torch._utils _rebuild_tensor_v2" ||
                global == "torch._utils _rebuild_tensor_v3" || global == "torch.storage UntypedStorage" ||
                (global.starts_with("torch ") && (find_dtype_by_storage(name) || find_dtype_by_torch(name))))
        << global;
  }
}

/// Files whose metadata made the older way back crash, write nonsense or objects: now their tensors and nothing else.
TEST_F(ConvertTest, TreesInTheMetadataAreNoLongerLookedAt) {
  for (const char* name : {"15_tree_complex_of_f32", "15_tree_key_list", "15_tree_neg_stride_zero_size",
                           "15_tree_requires_grad_int", "15_tree_size_text", "17_tree_complex_deep_20000"}) {
    const fs::path from = kGolden / "hostile" / (std::string(name) + ".safetensors");
    convert_weights(from, file("out.pth"));
    expect_same(find_model_state(read_pth(file("out.pth"))), read_safetensors(from), name);
    for (const std::string& global : globals_of(file("out.pth"))) {
      EXPECT_TRUE(global.starts_with("torch") || global == "collections OrderedDict") << global;
    }
  }
}

TEST_F(ConvertTest, OlderConversionsGiveTheirWeights) {
  StateDict tensors;
  tensors.set("a", at::ones({2}));
  tensors.set("vicha.pth/optimizer.state.0.exp_avg", at::ones({2}));
  write_safetensors(file("old.safetensors"), tensors, {{"vicha.pth", "{}"}});
  convert_weights(file("old.safetensors"), file("old.pth"));
  EXPECT_EQ(find_model_state(read_pth(file("old.pth"))).size(), 1U);
}

TEST_F(ConvertTest, TheTwoKindsAreToldByContent) {
  fs::copy_file(kGolden / "library/safetensors_bad/ok.safetensors", file("weights.bin"));
  convert_weights(file("weights.bin"), file("ok.pth"));
  EXPECT_EQ(find_model_state(read_pth(file("ok.pth"))).size(), 1U);
  EXPECT_THROW(convert_weights(file("weights.bin"), file("ok.safetensors")), UsageError);
  EXPECT_THROW(convert_weights(file("ok.pth"), file("again.pth")), UsageError);
  write_file_atomic(file("model.safetensors.index.json"), "{}");
  for (const char* to : {"model.safetensors.index.json", "q.txt", "q"}) {
    EXPECT_THROW(convert_weights(file("weights.bin"), file(to)), UsageError) << to;
  }
  EXPECT_EQ(read_file(file("model.safetensors.index.json")), "{}");
  EXPECT_FALSE(fs::exists(file("again.pth")));
}

/// Quadratic look-ups took 20 s, and a second for each quarter as many.
TEST_F(ConvertTest, TwoHundredThousandTensorsTakeLinearTime) {
  StateDict many;
  const at::Tensor one = at::ones({1});
  for (int i = 0; i < 200000; ++i) many.set("layer." + std::to_string(i) + ".weight", one);
  write_safetensors(file("many.safetensors"), many);
  const std::clock_t start = std::clock();
  EXPECT_EQ(convert_weights(file("many.safetensors"), file("many.pth")).tensors, many.size());
  EXPECT_EQ(convert_weights(file("many.pth"), file("back.safetensors")).tensors, many.size());
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  RecordProperty("seconds", std::to_string(seconds));
  EXPECT_LT(seconds, 12) << "less than 3 s on an idle machine";
}

}  // namespace
}  // namespace vicha
