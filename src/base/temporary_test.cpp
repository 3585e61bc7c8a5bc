// What a killed process leaves, and who removes it.
#include "base/temporary.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/signals.h"

namespace vicha {
namespace {

class Leftovers : public ::testing::Test {
 protected:
  Leftovers() : folder_(fs::temp_directory_path() / ("vicha_leftovers_" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Leftovers() override { fs::remove_all(folder_); }

  std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(folder_), {}); }

  /// What `waitpid` says of a process that does this and would then exit with 0.
  static int in_child(const std::function<void()>& act) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(STDERR_FILENO);
      act();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }
  int kill_while_writing(int signal) {
    return in_child([&] {
      if (signal != SIGKILL) end_cleanly_on_signals();
      AtomicFile file(folder_ / "out.json");
      file.append("half");
      AtomicFolder inside(folder_ / "step");
      if (signal != SIGKILL) fs::remove(inside.path());
      ::raise(signal);
    });
  }

  fs::path folder_;
};

TEST_F(Leftovers, OfAKilledProcessGoWithTheNextWriteBesideThem) {
  ASSERT_TRUE(WIFSIGNALED(kill_while_writing(SIGKILL)));
  EXPECT_EQ(files(), 2);
  remove_leftovers(folder_);
  EXPECT_EQ(files(), 0);

  ASSERT_TRUE(WIFSIGNALED(kill_while_writing(SIGKILL)));
  const int status = in_child([&] { write_file_atomic(folder_ / "another.json", "x"); });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(files(), 1);
  EXPECT_EQ(read_file(folder_ / "another.json"), "x");
}

TEST_F(Leftovers, OfTheLivingAndOfOthersStay) {
  AtomicFile file(folder_ / "out.json");
  AtomicFolder step(folder_ / "step");
  const std::string ours = vanishing_name(folder_ / "notes").filename().string();
  std::string theirs = ours;
  theirs.replace(theirs.find(".vicha-") + 7, 8, "00000000");  // another machine's
  for (const std::string& name : {theirs, std::string("notes.tmp"), std::string(".notes.tmp.123"), ours.substr(1)}) {
    std::ofstream(folder_ / name) << "x";
  }
  in_child([&] { remove_leftovers(folder_); });
  EXPECT_EQ(files(), 6);
  std::ofstream(folder_ / ours) << "nobody holds it";
  remove_leftovers(folder_);
  EXPECT_EQ(files(), 6);
  file.append("whole");
  file.commit();
  write_file_atomic(step.path() / "model", "1");
  step.commit();
  EXPECT_EQ(read_file(folder_ / "out.json"), "whole");
  EXPECT_EQ(read_file(folder_ / "step" / "model"), "1");
}

TEST_F(Leftovers, NamesOfAnyLengthAreWritten) {
  const fs::path longest = folder_ / std::string(255, 'n');
  write_file_atomic(longest, "x");
  EXPECT_EQ(read_file(longest), "x");
  EXPECT_EQ(files(), 1);
}

TEST_F(Leftovers, ASignalEndsTheProcessAndTakesThemWithIt) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const int status = kill_while_writing(signal);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), signal);
    EXPECT_EQ(files(), 0);
  }
}

TEST_F(Leftovers, TheFirstSignalIsNotedByWhoeverEndsInGoodOrder) {
  const int noted = in_child([] {
    end_cleanly_on_signals();
    const StopSignals stop;
    ::raise(SIGTERM);
    if (stop.caught() != SIGTERM) ::_exit(1);
  });
  EXPECT_EQ(noted, 0);
  const int second = in_child([] {
    const StopSignals stop;
    ::raise(SIGTERM);
    ::raise(SIGINT);
  });
  EXPECT_TRUE(WIFSIGNALED(second));
  const int at_once = in_child([] {
    const StopSignals stop;
    const StopSignals::AtOnce part;
    ::raise(SIGTERM);
  });
  EXPECT_TRUE(WIFSIGNALED(at_once));
}

TEST_F(Leftovers, BeyondTheLimitOfAFilesSizeIsAnErrorThatNamesTheFile) {
  const int status = in_child([&] {
    end_cleanly_on_signals();
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file_atomic(folder_ / "out.bin", std::string(10000, 'x'));
    } catch (const Error& error) {
      const std::string what = error.what();
      ::_exit(what.find("out.bin") != std::string::npos && what.find("ulimit -f") != std::string::npos ? 0 : 1);
    }
    ::_exit(2);
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(files(), 0);
}

TEST_F(Leftovers, AFolderIsReplacedWhole) {
  for (const char* content : {"1", "2"}) {
    AtomicFolder step(folder_ / "step");
    write_file_atomic(step.path() / content, content);
    step.commit();
  }
  EXPECT_FALSE(fs::exists(folder_ / "step" / "1"));
  EXPECT_EQ(read_file(folder_ / "step" / "2"), "2");
  EXPECT_EQ(files(), 1);
}

}  // namespace
}  // namespace vicha
