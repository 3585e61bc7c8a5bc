#include "checkpoint/pickle/pickle_reader.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "checkpoint/pickle/model_state.h"
#include "checkpoint/pickle/pickle_describe.h"
#include "checkpoint/pickle/zip.h"

namespace vicha {
namespace {

using namespace std::string_literals;

PickleValue read(const std::string& data) { return read_pickle(data, {"here.pkl", {}}); }

std::string message(const std::string& data) {
  try {
    read(data);
  } catch (const DataError& error) {
    return error.what();
  }
  return "accepted";
}

std::string times(std::string_view text, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) result += text;
  return result;
}

// [{'ref_id': 7, 'split': 'val', 'sentences': [{'raw': 'the café', 'tokens': ['the', 'café']}],
//   'box': (1.5, -2, None, True), 'far': -(1 << 40)}] as Python writes it under protocols 0, 1, 2 and 4.
const std::string kSamples[] = {
    "(lp0\012(dp1\012Vref_id\012p2\012I7\012sVsplit\012p3\012Vval\012p4\012sVsentences\012p5\012(lp6\012(dp7\012Vraw\012p8\012Vthe caf\351\012p9\012sVtokens\012p10\012(lp11\012Vthe\012p12\012aVcaf\351\012p13\012asasVbox\012p14\012(F1.5\012I-2\012NI01\012tp15\012sVfar\012p16\012L-1099511627776L\012sa."s,
    "]q\000}q\001(X\006\000\000\000ref_idq\002K\007X\005\000\000\000splitq\003X\003\000\000\000valq\004X\011\000\000\000sentencesq\005]q\006}q\007(X\003\000\000\000rawq\010X\011\000\000\000the caf\303\251q\011X\006\000\000\000tokensq\012]q\013(X\003\000\000\000theq\014X\005\000\000\000caf\303\251q\015euaX\003\000\000\000boxq\016(G\077\370\000\000\000\000\000\000J\376\377\377\377NI01\012tq\017X\003\000\000\000farq\020L-1099511627776L\012ua."s,
    "\200\002]q\000}q\001(X\006\000\000\000ref_idq\002K\007X\005\000\000\000splitq\003X\003\000\000\000valq\004X\011\000\000\000sentencesq\005]q\006}q\007(X\003\000\000\000rawq\010X\011\000\000\000the caf\303\251q\011X\006\000\000\000tokensq\012]q\013(X\003\000\000\000theq\014X\005\000\000\000caf\303\251q\015euaX\003\000\000\000boxq\016(G\077\370\000\000\000\000\000\000J\376\377\377\377N\210tq\017X\003\000\000\000farq\020\212\006\000\000\000\000\000\377ua."s,
    "\200\004\225\210\000\000\000\000\000\000\000]\224}\224(\214\006ref_id\224K\007\214\005split\224\214\003val\224\214\011sentences\224]\224}\224(\214\003raw\224\214\011the caf\303\251\224\214\006tokens\224]\224(\214\003the\224\214\005caf\303\251\224eua\214\003box\224(G\077\370\000\000\000\000\000\000J\376\377\377\377N\210t\224\214\003far\224\212\006\000\000\000\000\000\377ua."s,
};

TEST(PickleReader, EveryProtocolGivesTheSameData) {
  for (const std::string& sample : kSamples) {
    std::size_t consumed = 0;
    const PickleValue root = read_pickle(sample + "tail", {"refs.p", {}}, &consumed);
    EXPECT_EQ(consumed, sample.size());
    ASSERT_EQ(root.items().size(), 1U);
    const PickleValue& ref = root.items()[0];
    EXPECT_EQ(*ref.find("ref_id")->get_if<std::int64_t>(), 7);
    EXPECT_EQ(*ref.find("split")->get_if<std::string>(), "val");
    EXPECT_EQ(*ref.find("far")->get_if<std::int64_t>(), -(std::int64_t{1} << 40));
    const PickleValue& sentence = ref.find("sentences")->items().at(0);
    EXPECT_EQ(*sentence.find("raw")->get_if<std::string>(), "the café");
    EXPECT_EQ(*sentence.find("tokens")->items().at(1).get_if<std::string>(), "café");
    const auto* box = ref.find("box")->get_if<PickleSequence>();
    EXPECT_EQ(box->kind, PickleSequence::Kind::kTuple);
    EXPECT_EQ(*box->items.at(0).get_if<double>(), 1.5);
    EXPECT_EQ(*box->items.at(1).get_if<std::int64_t>(), -2);
    EXPECT_TRUE(box->items.at(2).is_none());
    EXPECT_TRUE(*box->items.at(3).get_if<bool>());
    EXPECT_EQ(ref.find("missing"), nullptr);
  }
}

TEST(PickleReader, PythonTwoTextsAndBigNumbers) {
  EXPECT_EQ(*read("S'it\\'s \\xc3\\xa9\\n'\n.").get_if<std::string>(), "it's é\n");
  EXPECT_EQ(read("U\002\377\376.").get_if<PickleBytes>()->data, "\377\376");
  EXPECT_EQ(*read("V\\ud83d\\ude00\n.").get_if<std::string>(), "😀");
  EXPECT_EQ(read("\200\002\212\011\000\000\000\000\000\000\000\000\100."s).get_if<PickleBigInt>()->bytes.size(), 9U);
  EXPECT_EQ(*read("\200\002\212\012\376\377\377\377\377\377\377\377\377\377."s).get_if<std::int64_t>(), -2);
  EXPECT_EQ(*read("\200\002\212\000."s).get_if<std::int64_t>(), 0);
  EXPECT_NE(message("V\\ud83d\n."), "accepted");
  EXPECT_NE(message("S'open\n."), "accepted");
  EXPECT_NE(message("X\002\000\000\000\300\200."s), "accepted");
}

TEST(PickleReader, ALaterKeyReplacesTheValueAndKeepsItsPlace) {
  const PickleValue dict = read("}(K\001K\012K\002K\013K\001K\014u.");
  const auto& items = dict.get_if<PickleDict>()->items;
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(*items[0].first.get_if<std::int64_t>(), 1);
  EXPECT_EQ(*items[0].second.get_if<std::int64_t>(), 12);
}

TEST(PickleReader, CodeIsRefusedByName) {
  EXPECT_NE(message("cos\nsystem\n(S'true'\ntR.").find("here.pkl: asks for 'os.system'"), std::string::npos);
  EXPECT_NE(message("(S'true'\nios\nsystem\n.").find("'os.system'"), std::string::npos);
  EXPECT_NE(message("\200\004\214\010builtins\214\004eval\223.").find("'builtins.eval'"), std::string::npos);
  EXPECT_NE(message("ctorch.hub\nload\n(tR.").find("'torch.hub.load'"), std::string::npos);
  EXPECT_NE(message("carg\nNamespace\n)\201.").find("'arg.Namespace'"), std::string::npos);
  // Harmless names in the wrong place.
  EXPECT_NE(message("ctorch\nFloatStorage\n)R."), "accepted");
  EXPECT_NE(message("ccollections\nOrderedDict\n."), "accepted");
  EXPECT_NE(message("ctorch._utils\n_rebuild_tensor_v2\n)R."), "accepted");
  EXPECT_NE(message("}}b."), "accepted");
  EXPECT_NE(message("X\001\000\000\000aQ."s), "accepted");
}

TEST(PickleReader, PlaceholdersKeepWhatTheyWereGiven) {
  const PickleValue value =
      read("cargparse\nNamespace\n)\201}X\002\000\000\000lrG\077\360\000\000\000\000\000\000sb."s);
  const auto* object = value.get_if<PickleObject>();
  EXPECT_EQ(object->module, "argparse");
  ASSERT_EQ(object->state.size(), 1U);
  EXPECT_EQ(*object->state[0].find("lr")->get_if<double>(), 1.0);
}

TEST(PickleReader, NestingCyclesAndRepetitionAreBounded) {
  EXPECT_NE(message(times("]", 1000000) + times("a", 999999) + "."), "accepted");
  EXPECT_NE(message("]q\000h\000a."s), "accepted");
  EXPECT_NE(message("}q\000X\001\000\000\000kh\000s."s), "accepted");
  // Forty lists that each hold the one before twice: a tree of 2^40.
  std::string laughs = "]q\000"s;
  for (int i = 1; i <= 40; ++i)
    laughs += "](h"s + static_cast<char>(i - 1) + "h" + static_cast<char>(i - 1) + "eq" + static_cast<char>(i);
  const PickleValue shared = read(laughs + ".");
  EXPECT_EQ(shared.items()[0].get_if<PickleSequence>(), shared.items()[1].get_if<PickleSequence>());
  EXPECT_THROW(flatten_tensors(shared), DataError);
  EXPECT_LT(describe_pickle(shared, nullptr, 1 << 16).size(), 1U << 17);
  // A long text, referred to again and again, and as a key of many dicts.
  std::string text = "X\000\000\001\000"s + times("x", 65536) + "q\0000]("s + times("h\000"s, 100000) + "e.";
  const PickleValue texts = read(text);
  EXPECT_EQ(texts.items()[0].get_if<std::string>(), texts.items()[99999].get_if<std::string>());
  EXPECT_EQ(message("X\000\000\001\000"s + times("x", 65536) + "q\0000]("s + times("}h\000Ns"s, 100000) + "e."),
            "accepted");
  // Levels that a node has where it is used later than first.
  std::string levels = "]q\000"s;
  for (int i = 1; i < 250; ++i) levels += "](h"s + static_cast<char>(i - 1) + "eq" + static_cast<char>(i);
  std::string first_shallow = "]("s + levels;
  for (int i = 0; i < 250; ++i) first_shallow += "h"s + static_cast<char>(i);
  EXPECT_NE(message(first_shallow + "e.").find("200 levels"), std::string::npos);
  // A long list, copied again and again.
  std::string copies = "](" + times("N", 100000) + "eq\0000"s + "c__builtin__\nset\nq\0010]("s +
                       times("h\001h\000\205R"s, 100000) + "e.";
  EXPECT_NE(message(copies).find("copies its values"), std::string::npos);
}

TEST(PickleReader, WhatTheFileMayTakeIsBounded) {
  EXPECT_NE(message(times("(", 100000)).find("65,536 groups"), std::string::npos);
  EXPECT_NE(message(times("N", 5 << 20)).find("4 million"), std::string::npos);
}

TEST(PickleReader, KeysThatPythonCallsEqualAreOneKey) {
  // {1: 'a', 1.0: 'b', True: 'c'} and {(1, 'k'): …} twice, the tuples made anew
  EXPECT_EQ(read("}(K\001NG\077\360\000\000\000\000\000\000K\002\210K\003u."s).get_if<PickleDict>()->items.size(), 1U);
  EXPECT_EQ(read("}(K\001U\001k\206NK\001U\001k\206Nu."s).get_if<PickleDict>()->items.size(), 1U);
  EXPECT_EQ(read("}(K\001U\001k\206NK\002U\001k\206Nu."s).get_if<PickleDict>()->items.size(), 2U);
  EXPECT_EQ(read("}(U\001kNC\001kNU\001kNu."s).get_if<PickleDict>()->items.size(), 2U);
  EXPECT_NE(message("}(]Nu."), "accepted");
}

TEST(PickleReader, FloatKeysStayApart) {
  const PickleValue dict = read("}(G>z\327\362\232\274\257HNG>p\306\367\240\265\355\215Nu."s);
  EXPECT_EQ(dict.get_if<PickleDict>()->items.size(), 2U);
}

TEST(PickleReader, HarmlessKindsAreNamedForWhatTheyAre) {
  EXPECT_NE(message("ccollections\nCounter\n)R.").find("holds a collections.Counter"), std::string::npos);
  EXPECT_EQ(message("ctorch._utils\n_rebuild_sparse_tensor\n)R.").find("code"), std::string::npos);
}

TEST(PickleReader, LyingLengthsAllocateNothing) {
  EXPECT_NE(message("r\377\377\377\377."), "accepted");
  EXPECT_NE(message("Nr\377\377\377\377."), "accepted");
  EXPECT_NE(message("\216\377\377\377\377\377\377\377\377."), "accepted");
  EXPECT_NE(message("\215\377\377\377\377\377\377\377\177x."), "accepted");
  EXPECT_NE(message("\213\377\377\377\377x."), "accepted");
  EXPECT_NE(message("j\377\377\377\377."), "accepted");
  EXPECT_NE(message("p99999999999999999999\n."), "accepted");
  EXPECT_NE(message("\225\377\377\377\377\377\377\377\377N."), "accepted");
}

TEST(PickleReader, StackErrorsAreRefused) {
  for (const char* data : {".",        "R.", "t.",    "a.",     "]a.",    "(a.",    "s.",    "u.",  "}(Nu.", "(N",
                           "0.",       "1.", "(1.",   "\205.",  "(\207.", "b.",     "\223.", "Q.",  "e.",    "(e.",
                           "(N(\206.", "2.", "](Na.", "}(NNs.", "](Nat.", "]((Ne.", "\201.", "(Nd."}) {
    EXPECT_NE(message(data), "accepted") << data;
  }
}

/// Real pickles, damaged: read or refused, never anything else.
TEST(PickleReader, DamagedPicklesAreReadOrRefused) {
  const fs::path folder = fs::path(VICHA_SOURCE_DIR) / "tests/golden/library/pth";
  std::vector<std::string> pickles(std::begin(kSamples), std::end(kSamples));
  for (const char* name : {"dtypes", "views", "parameter", "ordered_metadata", "nested_lists",
                           "checkpoint_ruamel_config", "checkpoint_numpy_scalar"}) {
    ZipReader zip(folder / (std::string(name) + ".pth"));
    pickles.push_back(zip.read(*zip.find(std::string(name) + "/data.pkl")));
  }
  PickleOptions options{"damaged", [](auto, auto, std::int64_t bytes) {
                          if (bytes > 4096) throw DataError("damaged", "too much");
                          return at::zeros({bytes}, at::kByte).storage();
                        }};
  Rng rng(5);
  int refused = 0, read_anyway = 0;
  const auto attempt = [&](const std::string& data) {
    try {
      flatten_tensors(read_pickle(data, options));
      ++read_anyway;
    } catch (const DataError&) {
      ++refused;
    }
  };
  for (const std::string& whole : pickles) {
    for (std::size_t length = 0; length < whole.size(); length += 1 + whole.size() / 300)
      attempt(whole.substr(0, length));
    for (int i = 0; i < 400; ++i) {
      std::string damaged = whole;
      for (std::uint64_t n = 1 + rng.below(3); n > 0; --n)
        damaged[rng.below(damaged.size())] = static_cast<char>(rng());
      attempt(damaged);
    }
  }
  EXPECT_GT(refused, 2000);
  EXPECT_GT(read_anyway, 100);
}

}  // namespace
}  // namespace vicha
