#include "train/run_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <optional>

#include "base/error.h"
#include "base/files.h"

namespace vicha {
namespace {

class RunLocks : public ::testing::Test {
 protected:
  RunLocks() : out_(fs::temp_directory_path() / ("vicha_run_lock_" + std::to_string(::getpid()))) {
    fs::remove_all(out_);
  }
  ~RunLocks() override { fs::remove_all(out_); }
  fs::path out_;
};

TEST_F(RunLocks, ASecondRunIsRefusedByNameUntilTheFirstEnds) {
  std::optional<RunLock> first(std::in_place, out_);
  try {
    RunLock second(out_);
    FAIL() << "two runs in one folder";
  } catch (const DataError& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find(out_.string() + ": is being written by another run (host "), std::string::npos) << what;
    EXPECT_NE(what.find("process " + std::to_string(::getpid())), std::string::npos) << what;
  }
  first.reset();
  EXPECT_FALSE(fs::exists(out_)) << "nothing came into the folder that it made";
  EXPECT_NO_THROW(RunLock{out_});
}

TEST_F(RunLocks, ACrashLeavesNoLock) {
  const pid_t child = ::fork();
  if (child == 0) {
    const RunLock lock(out_);
    ::raise(SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(out_ / "run.lock"));
  EXPECT_NO_THROW(RunLock{out_});
  EXPECT_FALSE(fs::exists(out_ / "run.lock"));
}

TEST_F(RunLocks, AFolderThatCannotBeMadeIsNamed) {
  std::ofstream(out_) << "a file";
  try {
    RunLock lock(out_);
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find(out_.string()), std::string::npos);
  }
}

}  // namespace
}  // namespace vicha
