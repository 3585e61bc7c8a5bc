#include "checkpoint/files/convert.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "checkpoint/pickle/pth.h"
#include "checkpoint/safetensors/safetensors.h"

namespace vicha {
namespace {

const fs::path kGolden = fs::path(VICHA_SOURCE_DIR) / "tests/golden";

class ConvertTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path file(const std::string& name) const { return folder_ / name; }

  /// The same pickle, data and sharing: our writer gives the same bytes for the same tree.
  void expect_lossless(const fs::path& original) {
    write_pth(file("direct.pth"), read_pth(original));
    convert_pth_to_safetensors(original, file("there.safetensors"));
    convert_safetensors_to_pth(file("there.safetensors"), file("back.pth"));
    EXPECT_EQ(read_file(file("direct.pth")), read_file(file("back.pth"))) << original;
  }

  fs::path folder_ = fs::path(::testing::TempDir()) / ("convert_" + std::to_string(::getpid()));
};

PickleValue text(const char* s) { return PickleValue(s); }
template <class T>
PickleValue make(T value) {
  return PickleValue(PickleValue::Data(std::move(value)));
}

TEST_F(ConvertTest, ReleasedStyleCheckpointsLoseNothing) {
  for (const char* name :
       {"vicha/checkpoint_last.pth", "library/pth/checkpoint_like.pth", "library/pth/tied.pth",
        "library/pth/dtypes.pth", "library/pth/dtypes_legacy.pth", "library/pth/ordered_metadata.pth",
        "library/pth/parameter.pth", "library/pth/nested_lists.pth", "library/pth/many.pth",
        "library/pth/checkpoint_ruamel_config.pth", "library/pth/checkpoint_namespace.pth",
        "library/pth/checkpoint_numpy_scalar.pth", "library/clip/clip_mini.open_clip_custom_text.pt"}) {
    expect_lossless(kGolden / name);
  }
}

TEST_F(ConvertTest, TheWeightsKeepTheirNamesAndTheRestIsSetApart) {
  convert_pth_to_safetensors(kGolden / "library/pth/checkpoint_like.pth", file("a.safetensors"));
  const StateDict all = read_safetensors(file("a.safetensors"));
  EXPECT_TRUE(all.contains("visual_encoder.pos_embed"));
  EXPECT_TRUE(all.contains("vicha.pth/optimizer.state.0.exp_avg"));
  const StateDict weights = without_extra(all);
  EXPECT_EQ(weights.size(), find_model_state(read_pth(kGolden / "library/pth/checkpoint_like.pth")).size());
}

TEST_F(ConvertTest, EveryKindOfValueComesBack) {
  const at::Tensor base = at::arange(24, at::kFloat).view({4, 6});
  PickleDict model{true, {}, {}};
  model.items.emplace_back(text("weight"), make(PickleTensor{base, true, true}));
  model.items.emplace_back(text("turned"), make(PickleTensor{base.t()}));
  model.items.emplace_back(text("wide"), make(PickleTensor{base.slice(1, 2, 4)}));
  model.items.emplace_back(text("expanded"), make(PickleTensor{base[0].expand({3, 6})}));
  model.items.emplace_back(text("alone"), make(PickleTensor{at::arange(6, at::kLong).view({2, 3}).t()}));
  model.items.emplace_back(text("complex"),
                           make(PickleTensor{at::view_as_complex(at::arange(4, at::kDouble).view({2, 2}))}));
  model.items.emplace_back(text("half"), make(PickleTensor{at::zeros({2}, at::kHalf)}));
  model.items.emplace_back(text("small"), make(PickleTensor{at::arange(3, at::kInt).to(at::kUInt16)}));
  model.items.emplace_back(text("__metadata__"), make(PickleTensor{at::ones({1})}));
  model.attributes.emplace_back(text("_metadata"), make(PickleDict{true, {{text(""), make(std::int64_t{1})}}, {}}));

  PickleDict odd;
  odd.items.emplace_back(make(std::int64_t{3}), make(NAN));
  odd.items.emplace_back(text("$tuple"), make(-INFINITY));
  odd.items.emplace_back(make(PickleSequence{PickleSequence::Kind::kTuple, {text("a"), make(true)}}), PickleValue());
  PickleSequence list;
  list.items = {make(-0.0),
                make(1.0),
                make(0.1),
                make(std::int64_t{INT64_MIN}),
                make(PickleBigInt{std::string(9, '\x7f')}),
                make(PickleBytes{std::string("\x00\xff", 2)}),
                make(PickleBytes{"b", true}),
                make(std::complex<double>(1, -INFINITY)),
                make(PickleDtype{at::kBFloat16}),
                make(PickleDevice{"cuda", {make(std::int64_t{1})}}),
                make(odd),
                make(PickleSequence{PickleSequence::Kind::kSet, {text("x")}}),
                make(PickleSequence{PickleSequence::Kind::kFrozenSet, {}}),
                make(PickleSequence{PickleSequence::Kind::kSize, {make(std::int64_t{2})}})};
  PickleDict root;
  root.items.emplace_back(text("model"), make(model));
  root.items.emplace_back(text("rest"), make(list));
  write_pth(file("odd.pth"), make(root));
  expect_lossless(file("odd.pth"));
}

TEST_F(ConvertTest, AnyOtherSafetensorsBecomesAStateDict) {
  convert_safetensors_to_pth(kGolden / "library/safetensors_bad/ok.safetensors", file("ok.pth"));
  EXPECT_EQ(find_model_state(read_pth(file("ok.pth"))).size(), 1U);
}

TEST_F(ConvertTest, EditedFilesAreRefusedWhereTheyContradictTheirRecord) {
  Metadata metadata;
  convert_pth_to_safetensors(kGolden / "library/pth/tied.pth", file("tied.safetensors"));
  const StateDict tied = read_safetensors(file("tied.safetensors"), &metadata);
  const std::string first = tied.begin()->first;
  const auto expect_refused = [&](const StateDict& tensors, const Metadata& record) {
    write_safetensors(file("edited.safetensors"), tensors, record);
    EXPECT_THROW(convert_safetensors_to_pth(file("edited.safetensors"), file("edited.pth")), DataError);
    EXPECT_FALSE(fs::exists(file("edited.pth")));
  };
  StateDict changed = tied, fewer = tied, more = tied;
  changed.set(first, tied.at(first) + 1);
  fewer.erase(first);
  more.set("new", at::zeros({1}));
  expect_refused(changed, metadata);
  expect_refused(fewer, metadata);
  expect_refused(more, metadata);
  for (const char* record : {"", "{", "{\"$tensor\":1}", "{\"$what\":1}", "{\"$bytes\":\"0\"}", "{\"$ordered\":[[1]]}",
                             "{\"$object\":[\"os\",\"system\"],\"called\":true,\"arguments\":[],\"appended\":[],"
                             "\"items\":[],\"state\":[]}"}) {
    expect_refused(StateDict(), {{std::string(kTreeKey), record}});
  }
  std::string vast = metadata.at(std::string(kTreeKey));
  const std::size_t offset = vast.rfind("\"offset\":0");
  ASSERT_NE(offset, std::string::npos);
  expect_refused(tied, {{std::string(kTreeKey), vast.replace(offset, 10, "\"offset\":99999999999")}});
}

}  // namespace
}  // namespace vicha
