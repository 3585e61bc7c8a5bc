#include "base/file_guard.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/named_outputs.h"
#include "base/read_folder.h"

namespace vicha {
namespace {

class Guarded : public ::testing::Test {
 protected:
  Guarded() : folder_(fs::temp_directory_path() / ("vicha_guard_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
    std::ofstream(in()) << "input";
    guard_.emplace();
  }
  ~Guarded() override { fs::remove_all(folder_); }

  fs::path in() const { return folder_ / "in.json"; }
  static std::string refusal(const std::function<void()>& act) {
    try {
      act();
    } catch (const UsageError& error) {
      return error.what();
    }
    return "accepted";
  }
  void expect_refused(const fs::path& out, const std::string& mention) {
    const std::string message = refusal([&] { write_file_atomic(out, "output"); });
    EXPECT_NE(message.find(mention), std::string::npos) << out << ": " << message;
    EXPECT_NE(message.find("Name another file"), std::string::npos) << message;
    EXPECT_NE(refusal([&] { GrowingFile(out, GrowingFile::Access::kAppend); }), "accepted") << out;
    EXPECT_NE(refusal([&] { go_on_with(out); }), "accepted") << out;
    EXPECT_EQ(read_file(in()), "input");
  }

  fs::path folder_;
  std::optional<FileGuard> guard_;
};

TEST_F(Guarded, AnInputIsNoOutputByWhateverName) {
  fs::create_directory(folder_ / "sub");
  fs::create_symlink(in(), folder_ / "symbolic.json");
  fs::create_hard_link(in(), folder_ / "hard.json");
  read_file(in());
  expect_refused(in(), "is read by this command, which would write over it");
  expect_refused(folder_ / "sub" / ".." / "in.json", "is read by this command");
  expect_refused(folder_ / "symbolic.json", "is the same file as " + in().string());
  expect_refused(folder_ / "hard.json", "is the same file as " + in().string());
  EXPECT_EQ(refusal([&] { write_file_atomic(folder_ / "out.json", "x"); }), "accepted");
}

TEST_F(Guarded, NothingIsWrittenIntoAFolderThatIsRead) {
  const fs::path read = folder_ / "read";
  fs::create_directories(read / "sub");
  std::ofstream(read / "sub" / "old.json") << "old";
  fs::create_hard_link(read / "sub" / "old.json", folder_ / "hard.json");
  fs::create_symlink("read", folder_ / "link");
  note_input_folder(read);
  const auto write = [&](const fs::path& file) { return refusal([&] { write_file_atomic(file, "x"); }); };
  EXPECT_NE(write(read / "sub" / "old.json").find("is read by this command"), std::string::npos);
  EXPECT_NE(write(folder_ / "hard.json").find("is the same file as"), std::string::npos);
  for (const fs::path& file : {read / "new.json", read / "sub" / "new.json", folder_ / "link" / "new.json",
                               folder_ / "sub" / ".." / "read" / "new.json"}) {
    EXPECT_NE(write(file).find("which this command reads"), std::string::npos) << file;
  }
  EXPECT_EQ(write(folder_ / "new.json"), "accepted");
  may_be_kept(read / "sub" / "old.json");
  EXPECT_EQ(write(read / "sub" / "old.json"), "accepted");
  // Another folder in its place, which may get the same number, is not it.
  fs::remove_all(read);
  fs::create_directories(folder_ / "other");
  EXPECT_EQ(write(folder_ / "other" / "new.json"), "accepted");
}

TEST_F(Guarded, AllOutputsAreRefusedBeforeOneIsWritten) {
  const auto made = [&](const fs::path& out, const fs::path& beside) {
    return refusal([&] { GuardedOutputs({{"--out", out}, {"beside it", beside}}, {in()}); });
  };
  EXPECT_EQ(made(folder_ / "a", folder_ / "b"), "accepted");
  EXPECT_NE(made(folder_ / "a", in()).find("is read by this command"), std::string::npos);
  EXPECT_NE(made(folder_ / "a", folder_ / "a").find("is the same file as --out"), std::string::npos);
  const GuardedOutputs outputs({{"--out", folder_ / "a"}}, {});
  EXPECT_EQ(refusal([&] { write_file_atomic(folder_ / "a", "x"); }), "accepted") << "it is its own";
  EXPECT_EQ(refusal([&] { read_file(folder_ / "a"); }), "accepted");
}

TEST_F(Guarded, EveryWayOfOpeningIsKnown) {
  for (const auto& open : std::initializer_list<std::function<void(const fs::path&)>>{
           [](const fs::path& p) { read_file(p); }, [](const fs::path& p) { MappedFile{p}; },
           [](const fs::path& p) { require_regular_file(p); }, [](const fs::path& p) { open_input(p); }}) {
    guard_.reset();
    guard_.emplace();
    open(in());
    expect_refused(in(), "is read by this command");
  }
}

TEST_F(Guarded, AnInputThatIsOpenedAfterTheOutputIsRefused) {
  AtomicFile out(in());
  out.append("output");
  EXPECT_NE(refusal([&] { read_file(in()); }).find("would write over it"), std::string::npos);
  const GrowingFile journal(folder_ / "journal", GrowingFile::Access::kAppend);
  EXPECT_EQ(refusal([&] { read_file(folder_ / "journal"); }), "accepted") << "it was made just now";
}

TEST_F(Guarded, AnOldFileThatGrowsIsNoInput) {
  const GrowingFile journal(in(), GrowingFile::Access::kReadWrite);
  EXPECT_NE(refusal([&] { read_file(in()); }).find("would write over it"), std::string::npos);
}

TEST_F(Guarded, WhatACommandWroteItMayReadAndWriteAgain) {
  write_file_atomic(folder_ / "own", "1");
  EXPECT_EQ(read_file(folder_ / "own"), "1");
  write_file_atomic(folder_ / "own", "2");
  EXPECT_EQ(read_file(folder_ / "own"), "2");
}

TEST_F(Guarded, WhatAnEarlierRunLeftMayBeGoneOnWithIfThatIsSaid) {
  go_on_with(in());
  read_file(in());
  write_file_atomic(in(), "goes on");
  EXPECT_EQ(read_file(in()), "goes on");
  go_on_with(folder_ / "missing");
}

TEST_F(Guarded, AnInputThatWasMovedAwayIsSafe) {
  read_file(in());
  fs::rename(in(), folder_ / "moved.json");
  write_file_atomic(in(), "new");
  EXPECT_EQ(read_file(folder_ / "moved.json"), "input");
}

TEST_F(Guarded, AFolderThatHoldsAnInputIsNotReplaced) {
  read_file(in());
  EXPECT_NE(refusal([&] { AtomicFolder{folder_}; }).find("in.json in it"), std::string::npos);
  EXPECT_EQ(refusal([&] { AtomicFolder{folder_ / "other"}; }), "accepted");
}

TEST_F(Guarded, WithoutAGuardNothingIsWatched) {
  guard_.reset();
  read_file(in());
  write_file_atomic(in(), "output");
  EXPECT_EQ(read_file(in()), "output");
}

TEST_F(Guarded, TwoOutputsAreTwoFiles) {
  const auto same = [&](const fs::path& one, const fs::path& other) {
    const std::string message = refusal([&] { require_distinct({{"--out", one}, {"none", ""}, {"--list", other}}); });
    EXPECT_TRUE(message == "accepted" || message.find("--list is the same file as --out") != std::string::npos)
        << message;
    return message != "accepted";
  };
  fs::create_directory(folder_ / "sub");
  fs::create_directory_symlink(folder_ / "sub", folder_ / "way");
  fs::create_symlink(folder_ / "new.json", folder_ / "symbolic.json");
  fs::create_hard_link(in(), folder_ / "hard.json");
  EXPECT_TRUE(same(folder_ / "new.json", folder_ / "new.json"));
  EXPECT_TRUE(same(folder_ / "new.json", folder_ / "sub/../new.json"));
  EXPECT_TRUE(same(folder_ / "new.json", fs::relative(folder_ / "new.json")));
  EXPECT_TRUE(same(folder_ / "sub/new.json", folder_ / "way/new.json"));
  EXPECT_TRUE(same(in(), folder_ / "hard.json"));
  EXPECT_FALSE(same(folder_ / "new.json", folder_ / "new.jsonl"));
  EXPECT_FALSE(same(folder_ / "new.json", folder_ / "sub/new.json"));
}

}  // namespace
}  // namespace vicha
