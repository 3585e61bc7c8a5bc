#include "base/files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/random.h"

namespace vicha {
namespace {

fs::path scratch() {
  const fs::path folder = fs::temp_directory_path() / ("vicha_files_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  return folder;
}

TEST(Files, AtomicWriteLeavesNothingBehindOnFailure) {
  const fs::path path = scratch() / "a.txt";
  write_file_atomic(path, "old");
  EXPECT_THROW(write_file_atomic(path,
                                 [](const auto& out) {
                                   out("half");
                                   throw Error("stop");
                                 }),
               Error);
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(path.parent_path()), {}), 1);
  fs::remove_all(path.parent_path());
}

TEST(Files, FullDiskIsAnErrorThatNamesTheFile) {
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  try {
    write_file_atomic("/dev/full/x", "content");
    FAIL() << "writing below a device must fail";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("/dev/full/x"), std::string::npos);
  }
}

TEST(Files, AtomicFolderAppearsWholeOrNotAtAll) {
  const fs::path folder = scratch() / "step";
  {
    AtomicFolder half(folder);
    write_file_atomic(half.path() / "model", "1");
  }
  EXPECT_FALSE(fs::exists(folder));
  AtomicFolder whole(folder);
  write_file_atomic(whole.path() / "model", "2");
  whole.commit();
  EXPECT_EQ(read_file(folder / "model"), "2");
  fs::remove_all(folder.parent_path());
}

TEST(Random, BelowIsInRangeAndSeedsDiffer) {
  Rng a(mix_seed({1, 2, 3})), b(mix_seed({1, 3, 2}));
  EXPECT_NE(a(), b());
  int counts[5] = {};
  for (int i = 0; i < 5000; ++i) ++counts[a.below(5)];
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace vicha
