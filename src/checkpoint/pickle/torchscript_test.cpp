#include "checkpoint/pickle/torchscript.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "checkpoint/files/convert.h"
#include "checkpoint/files/open.h"
#include "checkpoint/pickle/model_state.h"
#include "checkpoint/pickle/pickle_reader.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/pickle/zip.h"

namespace vicha {
namespace {

using namespace std::string_literals;

const fs::path kGolden = fs::path(VICHA_SOURCE_DIR) / "tests/golden";

class TorchScriptTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path put(std::string_view content) const {
    // Over the older file, without cutting it first: some file systems write that through to the disk.
    const fs::path file = folder_ / "archive.pt";
    const bool over = fs::exists(file);
    if (over) fs::resize_file(file, content.size());
    const auto mode = over ? std::ios::binary | std::ios::in | std::ios::out : std::ios::binary | std::ios::out;
    std::fstream(file, mode).write(content.data(), static_cast<std::streamsize>(content.size()));
    return file;
  }
  fs::path folder_ = fs::path(::testing::TempDir()) / ("torchscript_" + std::to_string(::getpid()));
};

void expect_same(const at::Tensor& got, const at::Tensor& expected, const std::string& name) {
  EXPECT_EQ(got.scalar_type(), expected.scalar_type()) << name;
  EXPECT_EQ(got.sizes(), expected.sizes()) << name;
  EXPECT_TRUE(at::equal(got, expected)) << name;
}

/// What a pickle of a TorchScript archive gives, or what is said against it.
std::string outcome(const std::string& data, bool torchscript = true) {
  PickleOptions options{
      .where = "file",
      .storages = [](auto, auto, std::int64_t bytes) { return at::zeros({bytes}, at::kByte).storage(); },
      .torchscript = torchscript};
  try {
    std::string names;
    for (const auto& [name, tensor] : find_model_state(torchscript_state(read_pickle(data, options), "file"))) {
      names += name + " ";
    }
    return names;
  } catch (const DataError& error) {
    return error.what();
  }
}

// A pickled module of that class with these attributes (keys and values in turn).
std::string object(const std::string& items, const std::string& name = "__torch__\nM") {
  return "c" + name + "\n)\201}(" + items + "ub";
}
std::string text(const std::string& value) { return "U" + std::string(1, static_cast<char>(value.size())) + value; }
std::string tensor() {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" + text("0") +
         text("cpu") + "K\002tQK\000(K\002t(K\001t\211ccollections\nOrderedDict\n)RtR"s;
}

TEST_F(TorchScriptTest, AnArchiveLikeOpenAIs) {
  const Weights weights = open_weights(kGolden / "torchscript/clip.pt");
  EXPECT_EQ(weights.kind, WeightsKind::kPth);
  EXPECT_EQ(weights.what, "TorchScript archive");
  const StateDict original = open_weights(kGolden / "library/clip/clip_mini.openai.pt").tensors;
  EXPECT_EQ(weights.tensors.size(), 23U);
  for (const auto& [name, got] : weights.tensors) {
    if (name == "vocab_size") {
      expect_same(got, at::scalar_tensor(64, at::kLong), name);
      continue;
    }
    at::Tensor expected = original.at(name, name);
    if (name == "token_embedding.weight") expected = expected.narrow(0, 0, 64);
    // The archive was made half precision as a whole.
    expect_same(got, expected.is_floating_point() ? expected.to(at::kHalf) : expected, name);
  }
  for (const char* name : {"visual.conv1.weight", "transformer.resblocks.0.attn.in_proj_weight", "input_resolution"}) {
    EXPECT_TRUE(weights.tensors.contains(name)) << name;
  }
}

TEST_F(TorchScriptTest, NestedModulesGiveDottedNamesAndEverythingButTensorsIsLeftOut) {
  PthFormat format{};
  const StateDict state = find_model_state(read_pth(kGolden / "torchscript/nested.pt", &format));
  EXPECT_EQ(format, PthFormat::kTorchScript);
  const StateDict expected = find_model_state(read_pth(kGolden / "torchscript/nested.state.pth", &format));
  EXPECT_EQ(format, PthFormat::kZip);
  ASSERT_GT(expected.size(), 15U);
  for (const auto& [name, tensor] : expected) {
    expect_same(state.at(name, name), tensor, name);
    EXPECT_EQ(state.at(name).strides(), tensor.strides()) << name;
  }
  EXPECT_EQ(state.size(), expected.size() + 1);
  EXPECT_TRUE(state.contains("plain"));
  const auto storage = [&](const char* name) { return state.at(name).storage().unsafeGetStorageImpl(); };
  EXPECT_EQ(storage("a.linear.weight"), storage("same.linear.weight"));
}

TEST_F(TorchScriptTest, AnArchiveIsConvertedToSafetensors) {
  const fs::path archive = kGolden / "torchscript/nested.pt", converted = folder_ / "nested.safetensors";
  convert_pth_to_safetensors(archive, converted);
  const StateDict before = open_weights(archive).tensors, after = open_weights(converted).tensors;
  // A tensor that shares its memory with another is written once.
  EXPECT_GT(after.size(), 15U);
  for (const auto& [name, tensor] : after) expect_same(tensor, before.at(name, name), name);
}

TEST_F(TorchScriptTest, OnlyTheThreeSettingsOfTheOutermostModuleAreNumbers) {
  EXPECT_EQ(outcome(object(text("vocab_size") + "K\007"s + text("heads") + "K\010"s + text("w") + tensor()) + "."),
            "vocab_size w ");
  const std::string inner = object(text("vocab_size") + "K\007"s + text("w") + tensor(), "__torch__.a.b\nInner");
  EXPECT_EQ(outcome(object(text("in") + inner) + "."), "in.w ");
}

TEST_F(TorchScriptTest, WhatIsNoStateOfModulesIsRefused) {
  const std::string good = object(text("w") + tensor());
  EXPECT_EQ(outcome(good + "."), "w ");
  EXPECT_NE(outcome(good + ".", false).find("__torch__"), std::string::npos);
  EXPECT_NE(outcome(object(text("w") + tensor(), "os\nsystem") + ".").find("os"), std::string::npos);
  EXPECT_NE(outcome(object(text("w") + tensor(), "__torch__evil\nM") + ".").find("__torch__evil"), std::string::npos);
  for (const char* name : {"build_tensor_from_id", "eval", ""}) {
    EXPECT_NE(outcome("ctorch.jit._pickle\n" + std::string(name) + "\n(]tR.").find("torch.jit._pickle"),
              std::string::npos)
        << name;
  }
  EXPECT_NE(outcome("ctorch.jit._pickle\nbuild_intlist\n(K\001tR."s).find("typed list"), std::string::npos);
  EXPECT_NE(outcome("ctorch.jit._pickle\nrestore_type_tag\n(]K\001tR."s).find("a type"), std::string::npos);
  EXPECT_NE(outcome(tensor() + ".").find("no module"), std::string::npos);
  EXPECT_NE(outcome("}" + text("w") + tensor() + "s.").find("no module"), std::string::npos);
  EXPECT_NE(outcome(object(text("n") + "K\001"s) + ".").find("without weights"), std::string::npos);
  EXPECT_NE(outcome(object("K\001"s + tensor()) + ".").find("not text"), std::string::npos);
  EXPECT_NE(outcome(object(text("a.w") + tensor() + text("a") + good) + ".").find("two tensors"), std::string::npos);
}

TEST_F(TorchScriptTest, DepthAndNamesAreBounded) {
  std::string deep = object(text("w") + tensor());
  for (int i = 0; i < 50; ++i) deep = object(text("m") + deep);
  EXPECT_EQ(outcome(deep + ".").size(), 2 * 50 + 2U);
  for (int i = 0; i < 200; ++i) deep = object(text("m") + deep);
  EXPECT_NE(outcome(deep + ".").find("nests deeper"), std::string::npos);
  std::string lengthy = object(text("w") + tensor());
  for (int i = 0; i < 6; ++i) lengthy = object(text(std::string(100, 'm')) + lengthy);
  EXPECT_NE(outcome(lengthy + ".").find("longer than 512"), std::string::npos);
  // A module that holds itself, and one that holds the one before it twice, forty times.
  EXPECT_NE(outcome("c__torch__\nM\n)\201q\000}(" + text("m") + "h\000ub."s).find("file"), std::string::npos);
  std::string doubled = object(text("w") + tensor()) + "q\000"s;
  for (int i = 1; i <= 40; ++i) {
    const std::string last = "h"s + static_cast<char>(i - 1);
    doubled += object(text("a") + last + text("b") + last) + "q" + static_cast<char>(i);
  }
  EXPECT_NE(outcome(doubled + ".").find("larger than the file"), std::string::npos);
}

TEST_F(TorchScriptTest, TruncatedArchivesAreRefused) {
  const std::string whole = read_file(kGolden / "torchscript/nested.pt");
  for (std::size_t length = 0; length < whole.size(); length += 101) {
    const fs::path file = put(std::string_view(whole).substr(0, length));
    EXPECT_THROW(open_weights(file), DataError) << length;
  }
}

/// Damage to the archive meets its checksums; damage to the pickle inside meets the reader itself.
TEST_F(TorchScriptTest, DamagedArchivesAreReadOrRefused) {
  const fs::path archive = kGolden / "torchscript/nested.pt";
  const std::string whole = read_file(archive);
  ZipReader zip(archive);
  const std::string pickle = zip.read(*zip.find("nested/data.pkl"));
  Rng rng(11);
  int refused = 0, read_anyway = 0;
  const auto attempt = [&](const std::function<void()>& read) {
    try {
      read();
      ++read_anyway;
    } catch (const DataError&) {
      ++refused;
    }
  };
  const auto damage = [&](std::string data) {
    data[rng.below(data.size())] = static_cast<char>(rng());
    return data;
  };
  for (int i = 0; i < 400; ++i) {
    const fs::path file = put(damage(whole));
    attempt([&] { open_weights(file); });
  }
  PickleOptions options{.where = "damaged",
                        .storages =
                            [](auto, auto, std::int64_t bytes) {
                              if (bytes > 4096) throw DataError("damaged", "too much");
                              return at::zeros({bytes}, at::kByte).storage();
                            },
                        .torchscript = true};
  for (int i = 0; i < 2000; ++i) {
    const std::string damaged = damage(pickle);
    attempt([&] { torchscript_state(read_pickle(damaged, options), "damaged"); });
  }
  EXPECT_GT(refused, 300);
  EXPECT_GT(read_anyway, 100);
}

}  // namespace
}  // namespace vicha
