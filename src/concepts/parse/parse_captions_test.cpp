#include "concepts/parse/parse_captions.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"

namespace vicha {
namespace {

class ParseCaptionsTest : public testing::Test {
 protected:
  // Kept, so that not every run loads the dictionary again.
  static void SetUpTestSuite() { dictionary_ = std::make_unique<SceneGraphParser>(); }
  static void TearDownTestSuite() { dictionary_.reset(); }

  ParseCaptionsTest() {
    log::set_sink([](log::Level, std::string_view) {});
    std::string pattern = (fs::temp_directory_path() / "vicha_parse_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    std::string text;
    for (int i = 0; i < 60; ++i) {
      const char* colours[] = {"red", "blue", "green", "brown"};
      const char* animals[] = {"dogs", "cats", "horses"};
      text += std::to_string(i + 2) + " " + colours[i % 4] + " " + animals[i % 3] + " on a beach\n";
      if (i % 10 == 3) text += "\n";
      if (i % 10 == 7) text += "caf\xC3\xA9 \xff tables\r\n";
    }
    in_ = write("captions.txt", text);
    lines_ = std::count(text.begin(), text.end(), '\n');
  }
  ~ParseCaptionsTest() override {
    log::set_sink({});
    fs::remove_all(folder_);
  }

  fs::path write(const char* name, const std::string& text) {
    write_file_atomic(folder_ / name, text);
    return folder_ / name;
  }
  std::string parsed(const fs::path& in, const char* name, const ParseOptions& options) {
    parse_captions({in}, folder_ / name, options);
    return read_file(folder_ / name);
  }
  template <class Run>
  std::string error_of(Run&& run) {
    try {
      run();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  static inline std::unique_ptr<SceneGraphParser> dictionary_;
  fs::path folder_, in_;
  std::int64_t lines_ = 0;
  const ParseOptions two_{.threads = 2};
  const ParseOptions quick_{.graph = {.links = LinkUse::kNever}, .threads = 2};
};

TEST_F(ParseCaptionsTest, OneLineForEachCaptionInOrder) {
  const std::string text = parsed(in_, "out.jsonl", two_);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), lines_);
  std::istringstream lines(text);
  std::ifstream captions(in_);
  for (std::string line, caption; std::getline(lines, line);) {
    ASSERT_TRUE(std::getline(captions, caption));
    const auto row = nlohmann::ordered_json::parse(line);
    if (caption.find('\xff') != std::string::npos) {
      EXPECT_EQ(row.at("caption"), "caf\xC3\xA9 \\xff tables");
    } else {
      EXPECT_EQ(row.at("caption"), caption);
    }
    std::vector<std::string> keys;
    for (const auto& [key, value] : row.items()) keys.push_back(key);
    EXPECT_EQ(keys, (std::vector<std::string>{"caption", "objects", "attributes", "relations"}));
  }
}

TEST_F(ParseCaptionsTest, ThreadsAndCacheChangeNothing) {
  const std::string text = parsed(in_, "a", two_);
  EXPECT_EQ(parsed(in_, "b", {.threads = 1}), text);
  EXPECT_EQ(parsed(in_, "c", {.threads = 5, .cached = 0}), text);
  EXPECT_EQ(parsed(in_, "d", {.threads = 2, .cached = 3}), text);
}

TEST_F(ParseCaptionsTest, EndsWithTheSameFileWhereverItWasKilled) {
  const std::string whole = parsed(in_, "out.jsonl", quick_);
  const fs::path out = folder_ / "out.jsonl";
  for (std::size_t kept = 0; kept <= whole.size(); kept += kept < 200 ? 13 : 397) {
    fs::resize_file(out, kept);
    const ParseRun run = parse_captions({in_}, out, quick_);
    EXPECT_EQ(run.captions, lines_);
    EXPECT_EQ(run.found, std::count(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(kept), '\n'));
    ASSERT_EQ(read_file(out), whole) << kept;
  }
  // A tail of zeros, as a power cut may leave it.
  fs::resize_file(out, whole.size() / 2);
  fs::resize_file(out, whole.size());
  parse_captions({in_}, out, quick_);
  EXPECT_EQ(read_file(out), whole);
  EXPECT_EQ(parse_captions({in_}, out, quick_).found, lines_);
}

TEST_F(ParseCaptionsTest, CaptionsAddedAtTheEndAreGoneOnWith) {
  parsed(in_, "out.jsonl", two_);
  write("captions.txt", read_file(in_) + "a yellow bird\n");
  const ParseRun run = parse_captions({in_}, folder_ / "out.jsonl", two_);
  EXPECT_EQ(run.captions - run.found, 1);
  EXPECT_EQ(read_file(folder_ / "out.jsonl"), parsed(in_, "fresh", two_));
}

TEST_F(ParseCaptionsTest, AnOutputOfOtherCaptionsOrOptionsIsRefusedAndKept) {
  const std::string whole = parsed(in_, "out.jsonl", two_);
  const fs::path out = folder_ / "out.jsonl";
  const fs::path other = write("other.txt", "2 red dogs on a beach\nsomething else\n");
  EXPECT_NE(error_of([&] { parse_captions({other}, out, two_); }).find("line 2: is not"), std::string::npos);
  const fs::path fewer = write("fewer.txt", "2 red dogs on a beach\n");
  EXPECT_NE(error_of([&] { parse_captions({fewer}, out, two_); }).find("more lines"), std::string::npos);
  EXPECT_NE(error_of([&] { parse_captions({in_}, out, quick_); }).find("\"never\""), std::string::npos);
  fs::rename(out.string() + ".parser.json", folder_ / "away");
  EXPECT_NE(error_of([&] { parse_captions({in_}, out, two_); }).find("does not say"), std::string::npos);
  fs::rename(folder_ / "away", out.string() + ".parser.json");
  EXPECT_EQ(read_file(out), whole);
}

TEST_F(ParseCaptionsTest, AnOutputOfAnotherVersionIsRefused) {
  const std::string whole = parsed(in_, "out.jsonl", quick_);
  const fs::path out = folder_ / "out.jsonl", identity = out.string() + ".parser.json";
  EXPECT_EQ(parser_version_of(out), kCaptionParserVersion);
  std::string told = read_file(identity);
  const std::string version = "\"version\": " + std::to_string(kCaptionParserVersion);
  told.replace(told.find(version), version.size(), "\"version\": 1");
  write_file_atomic(identity, told);
  EXPECT_EQ(parser_version_of(out), 1);
  EXPECT_NE(error_of([&] { parse_captions({in_}, out, quick_); }).find("finds other words"), std::string::npos);
  EXPECT_EQ(read_file(out), whole);
  write_file_atomic(identity, "{}");
  EXPECT_NE(error_of([&] { parser_version_of(out); }).find("does not say which parser"), std::string::npos);
  EXPECT_EQ(parser_version_of(in_), std::nullopt);
}

TEST_F(ParseCaptionsTest, OneWriterAtATime) {
  parsed(in_, "out.jsonl", two_);
  const int fd = ::open((folder_ / "out.jsonl").c_str(), O_RDWR);
  ASSERT_EQ(::flock(fd, LOCK_EX | LOCK_NB), 0);
  EXPECT_NE(error_of([&] { parse_captions({in_}, folder_ / "out.jsonl", two_); }).find("another process"),
            std::string::npos);
  ::close(fd);
}

TEST_F(ParseCaptionsTest, Manifests) {
  const fs::path list = write(
      "m.json", R"([{"image": "a.jpg", "caption": "a dog"}, {"image": "b.jpg", "caption": ["a cat", "a bird"]}])");
  const fs::path lines = write("m.jsonl", "{\"image\": \"c.jpg\", \"caption\": \"a horse\"}\n");
  std::vector<std::string> captions;
  for_each_caption({list, lines}, [&](std::string caption) { captions.push_back(std::move(caption)); });
  EXPECT_EQ(captions, (std::vector<std::string>{"a dog", "a cat", "a bird", "a horse"}));
  const fs::path bare = write("bare.json", R"([{"image": "a.jpg", "caption": "x"}, {"image": "b.jpg"}])");
  EXPECT_NE(
      error_of([&] { for_each_caption({bare}, [](const std::string&) {}); }).find("record 1: has no field 'caption'"),
      std::string::npos);
}

TEST_F(ParseCaptionsTest, TextFiles) {
  const fs::path file = write("t.txt",
                              "\xEF\xBB\xBF"
                              "a dog\r\n\n b \nlast");
  std::vector<std::string> captions;
  for_each_caption({file}, [&](std::string caption) { captions.push_back(std::move(caption)); });
  EXPECT_EQ(captions, (std::vector<std::string>{"a dog", "", " b ", "last"}));
  EXPECT_NE(error_of([&] { for_each_caption({folder_ / "none.txt"}, [](const std::string&) {}); }), "");
  EXPECT_NE(error_of([&] { for_each_caption({folder_}, [](const std::string&) {}); }), "");
  EXPECT_NE(error_of([&] { parse_captions({file}, file, two_); }), "");
}

TEST_F(ParseCaptionsTest, EmptyInput) {
  const fs::path empty = write("empty.txt", "");
  EXPECT_EQ(parsed(empty, "out.jsonl", two_), "");
  EXPECT_EQ(parse_captions({empty}, folder_ / "out.jsonl", two_).captions, 0);
}

TEST_F(ParseCaptionsTest, WhatTakeThrowsArrives) {
  CaptionParsers parsers(two_, [](const std::string& caption, const SceneGraph&) {
    if (caption == "a cat") throw DataError("here", "no cats");
  });
  const auto push_all = [&] {
    for (int i = 0; i < 1000; ++i) parsers.push(i == 5 ? "a cat" : "a dog");
    parsers.finish();
  };
  EXPECT_NE(error_of(push_all).find("no cats"), std::string::npos);
}

}  // namespace
}  // namespace vicha
