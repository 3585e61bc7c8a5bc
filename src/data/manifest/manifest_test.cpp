#include "data/manifest/manifest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>

#include "data/manifest/data_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT
using Strings = std::vector<std::string_view>;

const std::string kRecords[] = {
    R"({"image": "a.png", "caption": "A cat.", "kwords": ["cat", "red"], "image_id": 42, "sim": [0.5, {"x": "}"}]})",
    R"({"image": "sub/b.png", "caption": ["ein \u00e4\n\"Hund\"", ""], "kwords": [], "image_id": "42"})",
    R"({"kwords": ["red"], "image_id": 42, "image": "./a.png", "caption": "again", "note": {"caption": 7}})"};

std::string as_list() { return fmt::format("[\n {},\n {},{}]\n", kRecords[0], kRecords[1], kRecords[2]); }
std::string as_lines() { return fmt::format("{}\n\n  {}\r\n{}\n", kRecords[0], kRecords[1], kRecords[2]); }

Manifest load(const fs::path& file, const ManifestOptions& options = {}) { return Manifest::load({file}, options); }

class ManifestForms : public ::testing::TestWithParam<std::string> {
 protected:
  TemporaryFolder folder_;
};

TEST_P(ManifestForms, GivesAllFields) {
  const Manifest m = load(folder_.write("m.json", GetParam()));
  ASSERT_EQ(m.size(), 3);
  EXPECT_EQ(m.caption_count(), 4);
  EXPECT_EQ(m.image_path(0), (folder_ / "a.png").string());
  EXPECT_EQ(m.image_path(1), (folder_ / "sub/b.png").string());
  EXPECT_EQ(m.captions(0), Strings{"A cat."});
  EXPECT_EQ(m.captions(1), (Strings{"ein ä\n\"Hund\"", ""}));
  EXPECT_EQ(m.caption(1, 0), "ein ä\n\"Hund\"");
  EXPECT_EQ(m.caption(1, 1), "");
  EXPECT_EQ(m.concepts(0), (Strings{"cat", "red"}));
  EXPECT_EQ(m.concepts(1), Strings{});
  EXPECT_EQ(m.concepts(2), Strings{"red"});
  EXPECT_EQ(m.image_number(2), 0) << "./a.png is a.png";
  EXPECT_EQ(m.image_count(), 2);
  EXPECT_EQ(m.image_id(0), 0);
  EXPECT_EQ(m.image_id(1), 1) << "the string \"42\" is another id than the number";
  EXPECT_EQ(m.image_id(2), 0);
  EXPECT_EQ(m.image_id_count(), 2);
  EXPECT_EQ(m.where(2), (folder_ / "m.json").string() + ", record 2");
}

TEST_P(ManifestForms, KeepsUnknownFieldsWithinReach) {
  const Manifest m = load(folder_.write("m.json", GetParam()));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(m.json(i), kRecords[i]);
  folder_.write("m.json", "changed");
  EXPECT_TRUE(contains(message_of([&] { m.json(1); }), "record 1"));
}

TEST_P(ManifestForms, AcceptsAByteOrderMark) {
  const Manifest m = load(folder_.write("m.json", "\xEF\xBB\xBF" + GetParam()));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(m.json(i), kRecords[i]);
}

TEST_P(ManifestForms, RefusesEveryTruncation) {
  const std::string whole = GetParam();
  const bool list = whole[0] == '[';
  const std::size_t content = whole.find_last_not_of(" \r\n") + 1;
  for (std::size_t length = 0; length < content; ++length) {
    const fs::path file = folder_.write("cut.json", whole.substr(0, length));
    std::int64_t records = -1;
    const std::string message = message_of([&] { records = load(file).size(); });
    // Lines that are whole make a manifest of their own.
    const std::string_view kept = std::string_view(whole).substr(0, length);
    const std::size_t last = kept.find_last_not_of(" \r\n");
    const bool whole_lines =
        !list && last != std::string::npos && kept[last] == '}' && (whole[last + 1] == '\n' || whole[last + 1] == '\r');
    if (whole_lines) {
      EXPECT_GT(records, 0) << length;
    } else {
      ASSERT_TRUE(contains(message, file.string())) << length << ": " << message;
      EXPECT_TRUE(length <= 1 || contains(message, "ends in the middle")) << length << ": " << message;
    }
  }
}

TEST_P(ManifestForms, SurvivesDamage) {
  Rng rng(7);
  int loaded = 0, refused = 0;
  for (int trial = 0; trial < 400; ++trial) {
    std::string text = GetParam();
    for (std::uint64_t n = 1 + rng.below(3); n > 0; --n) text[rng.below(text.size())] = static_cast<char>(rng());
    const fs::path file = folder_.write("damaged.json", text);
    std::int64_t problems = 0;
    const Manifest m = Manifest::load({file}, {}, [&](const ManifestProblem& p) {
      ++problems;
      EXPECT_TRUE(contains(p.where, "damaged.json"));
    });
    for (std::int64_t i = 0; i < m.size(); ++i) {
      EXPECT_EQ(m.captions(i).size(), static_cast<std::size_t>(m.caption_count(i)));
      EXPECT_FALSE(m.image_path(i).empty());
      m.concepts(i);
    }
    problems == 0 ? ++loaded : ++refused;
    EXPECT_EQ(problems > 0, !message_of([&] { load(file); }).empty()) << text;
  }
  EXPECT_GT(loaded, 15);
  EXPECT_GT(refused, 50);
}

INSTANTIATE_TEST_SUITE_P(Both, ManifestForms, ::testing::Values(as_list(), as_lines()),
                         [](const auto& info) { return info.param[0] == '[' ? "List" : "Lines"; });

struct WrongCase {
  std::string record, field, what;
};

class WrongManifest : public ::testing::TestWithParam<WrongCase> {};

TEST_P(WrongManifest, IsRefusedWithFileRecordLineAndField) {
  const TemporaryFolder folder;
  const WrongCase& wrong = GetParam();
  for (const bool list : {true, false}) {
    const std::string text =
        list ? fmt::format("[{},\n{}]", kRecords[0], wrong.record) : fmt::format("{}\n{}", kRecords[0], wrong.record);
    const fs::path file = folder.write("w.json", text);
    const std::string message =
        message_of([&] { load(file, {.schema = {.caption = true, .concepts = true, .image_id = true}}); });
    EXPECT_TRUE(contains(message, file.string() + ", record 1 (line 2)")) << message;
    EXPECT_TRUE(contains(message, wrong.what)) << message;
    EXPECT_TRUE(wrong.field.empty() || contains(message, '"' + wrong.field + '"')) << message;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Each, WrongManifest,
    ::testing::Values(
        WrongCase{R"({"caption": "x", "kwords": [], "image_id": 1})", "image", "is missing"},
        WrongCase{R"({"image": "x", "kwords": [], "image_id": 1})", "caption", "is missing"},
        WrongCase{R"({"image": "x", "caption": "x", "image_id": 1})", "kwords", "is missing"},
        WrongCase{R"({"image": "x", "caption": "x", "kwords": []})", "image_id", "is missing"},
        WrongCase{R"({"image": 5, "caption": "x", "kwords": [], "image_id": 1})", "image", "is a number"},
        WrongCase{R"({"image": ["x"], "caption": "x", "kwords": [], "image_id": 1})", "image", "is a list"},
        WrongCase{R"({"image": null, "caption": "x", "kwords": [], "image_id": 1})", "image", "is null"},
        WrongCase{R"({"image": "", "caption": "x", "kwords": [], "image_id": 1})", "image", "is empty"},
        WrongCase{R"({"image": "a\u0000b", "caption": "x", "kwords": [], "image_id": 1})", "image",
                  "is not a file name"},
        WrongCase{R"({"image": "x", "caption": true, "kwords": [], "image_id": 1})", "caption", "true or false"},
        WrongCase{R"({"image": "x", "caption": {"a": "b"}, "kwords": [], "image_id": 1})", "caption", "an object"},
        WrongCase{R"({"image": "x", "caption": ["x", 1], "kwords": [], "image_id": 1})", "caption", "holds a number"},
        WrongCase{R"({"image": "x", "caption": [["x"]], "kwords": [], "image_id": 1})", "caption", "holds a list"},
        WrongCase{R"({"image": "x", "caption": [{}], "kwords": [], "image_id": 1})", "caption", "holds an object"},
        WrongCase{R"({"image": "x", "caption": [], "kwords": [], "image_id": 1})", "caption", "an empty list"},
        WrongCase{R"({"image": "x", "caption": "x", "kwords": "red", "image_id": 1})", "kwords", "is a string"},
        WrongCase{R"({"image": "x", "caption": "x", "kwords": [null], "image_id": 1})", "kwords", "holds null"},
        WrongCase{R"({"image": "x", "caption": "x", "kwords": [], "image_id": 1.5})", "image_id", "is a real number"},
        WrongCase{R"({"image": "x", "caption": "x", "kwords": [], "image_id": [1]})", "image_id", "is a list"},
        WrongCase{R"("x")", "", "the record is a string"}, WrongCase{R"([1, 2])", "", "the record is a list"},
        WrongCase{R"(3)", "", "the record is a number"}, WrongCase{R"({"image" "x"})", "", "not JSON"},
        WrongCase{"{\"image\": \"\xff\"}", "", "not JSON"},
        WrongCase{R"({"image": "x", "caption": "x",})", "", "not JSON"}));

TEST(Manifest, NamesWhatIsNoManifest) {
  const TemporaryFolder folder;
  EXPECT_TRUE(contains(message_of([&] { load(folder / "none.json"); }), "cannot open"));
  EXPECT_TRUE(contains(message_of([&] { load(folder.path()); }), "is a folder"));
  EXPECT_TRUE(contains(message_of([&] { load(folder.write("e.json", "")); }), "is empty"));
  EXPECT_TRUE(contains(message_of([&] { load(folder.write("e.json", "[ ]")); }), "holds no records"));
  EXPECT_TRUE(contains(message_of([&] { load(folder.write("e.json", "image,caption")); }), "is a table (CSV)"));
  EXPECT_TRUE(contains(message_of([&] { load(folder.write("e.json", "  \n ")); }), "neither a JSON list"));
  EXPECT_TRUE(contains(message_of([&] { load(folder.write("e.json", as_list() + "x")); }), "not JSON"));
  EXPECT_TRUE(contains(message_of([&] { Manifest::load({}); }), "data.manifests"));
}

TEST(Manifest, TellsAllProblemsAndKeepsTheRest) {
  const TemporaryFolder folder;
  const std::string text = fmt::format("{}\n{{\"image\": 1, \"kwords\": 2}}\n{{broken\n{}\n7\n{} trailing\n{}\n",
                                       kRecords[0], kRecords[1], kRecords[0], kRecords[2]);
  std::vector<std::string> problems;
  const Manifest m = Manifest::load({folder.write("m.jsonl", text)}, {}, [&](const ManifestProblem& p) {
    problems.push_back(fmt::format("{} {} {}", p.record, p.field, p.what));
  });
  EXPECT_EQ(m.size(), 3);
  EXPECT_EQ(m.number_in_file(2), 6);
  EXPECT_EQ(m.json(2), kRecords[2]);
  ASSERT_EQ(problems.size(), 6u);
  EXPECT_TRUE(problems[0].starts_with("1 image "));
  EXPECT_TRUE(problems[1].starts_with("1 kwords "));
  EXPECT_TRUE(problems[2].starts_with("1 caption ")) << problems[2];
  EXPECT_TRUE(problems[3].starts_with("2  not JSON")) << problems[3];
  EXPECT_TRUE(problems[4].starts_with("4  the record is a number")) << problems[4];
  EXPECT_TRUE(problems[5].starts_with("5  not JSON")) << problems[5];
}

TEST(Manifest, FollowsTheRecordsOfEachFile) {
  const TemporaryFolder folder;
  const fs::path one = folder.write("one/m.json", as_list()), two = folder.write("two/m.jsonl", as_lines());
  const Manifest m = Manifest::load({one, two});
  ASSERT_EQ(m.size(), 6);
  EXPECT_EQ(m.image_path(3), (folder / "two/a.png").string());
  EXPECT_EQ(m.file(2), one);
  EXPECT_EQ(m.file(3), two);
  EXPECT_EQ(m.where(4), two.string() + ", record 1");
  EXPECT_EQ(m.json(4), kRecords[1]);
  EXPECT_EQ(m.image_id(3), 2) << "equal ids of different files are different pictures";
  EXPECT_EQ(m.image_id_count(), 4);
}

TEST(Manifest, PutsImagesWhereTheOptionsSay) {
  const TemporaryFolder folder;
  const fs::path file =
      folder.write("m.json", R"([{"image": "/data/somebody/data/coco/train/x.jpg", "caption": "x"}])");
  EXPECT_EQ(load(file).image_path(0), "/data/somebody/data/coco/train/x.jpg");
  EXPECT_EQ(load(file, {.image_root = "/mine", .strip_parts = 4}).image_path(0), "/mine/coco/train/x.jpg");
  EXPECT_EQ(load(file, {.strip_parts = 6}).image_path(0), (folder / "x.jpg").string());
  EXPECT_TRUE(contains(message_of([&] { load(file, {.strip_parts = 7}); }), "data.strip_parts"));
}

TEST(Manifest, UsesTheImageWhereThereIsNoId) {
  const TemporaryFolder folder;
  const Manifest m = load(folder.write("m.json", R"([{"image": "x", "caption": "1"}, {"image": "y", "caption": "2"},
                                                    {"image": "x", "caption": "3"}])"));
  EXPECT_EQ(m.image_id(0), 0);
  EXPECT_EQ(m.image_id(1), 1);
  EXPECT_EQ(m.image_id(2), 0);
}

std::int64_t resident_bytes() {
  std::int64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(Manifest, NeedsLittleMoreThanItsStrings) {
  constexpr std::int64_t kCount = 100'000;
  const TemporaryFolder folder;
  {
    std::ofstream out(folder / "large.jsonl");
    for (std::int64_t i = 0; i < kCount; ++i) {
      out << fmt::format(R"({{"image": "images/{0:08}.jpg", "caption": "a picture of the thing number {0}",)"
                         R"( "kwords": ["word{1}", "word{2}", "word{3}"], "image_id": {0}, "more": "{4:80}"}})",
                         i, i % 5000, i % 3001, i % 1013, "")
          << "\n";
    }
  }
  [[maybe_unused]] const std::int64_t before = resident_bytes();
  const Manifest m = load(folder / "large.jsonl", {.image_root = "/pictures"});
  [[maybe_unused]] const std::int64_t grown = resident_bytes() - before;
  ASSERT_EQ(m.size(), kCount);
  EXPECT_EQ(m.caption(kCount - 1, 0), "a picture of the thing number 99999");
  EXPECT_EQ(m.concepts(5001), (Strings{"word1", "word2000", "word949"}));
  EXPECT_EQ(m.image_id(kCount - 1), kCount - 1);
  // A name of 30 bytes and a caption of 37, with their lengths and three concepts of two bytes: 78.
  EXPECT_LT(m.memory_bytes() / kCount, 78 + 45u) << "bytes a record";
#ifndef __SANITIZE_ADDRESS__  // it keeps what is freed
  EXPECT_LT(grown / kCount, 78 + 200) << "bytes a record, while loading";
#endif
}

TEST(StringPool, GivesEqualStringsOneNumber) {
  StringPool pool;
  const std::string large(300'000, 'x');
  EXPECT_EQ(pool.intern(""), 0u);
  EXPECT_EQ(pool.intern(large), 1u);
  for (std::uint32_t i = 0; i < 5000; ++i) ASSERT_EQ(pool.intern(fmt::format("s{}", i)), i + 2);
  for (std::uint32_t i = 0; i < 5000; ++i) ASSERT_EQ(pool.intern(fmt::format("s{}", i)), i + 2);
  EXPECT_EQ(pool.intern(large), 1u);
  EXPECT_EQ(pool[0], "");
  EXPECT_EQ(pool[1], large);
  pool.seal();
  EXPECT_EQ(pool[4321], "s4319");
  EXPECT_EQ(pool.size(), 5002);
  EXPECT_EQ(pool.intern("s17"), 19u) << "a sealed pool can be opened again";
  EXPECT_EQ(pool.intern("new"), 5002u);
}

}  // namespace
}  // namespace vicha
