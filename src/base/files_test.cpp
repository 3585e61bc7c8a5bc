#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>

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

std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Files, PipesAndDevicesAreNoFiles) {
  const fs::path folder = scratch(), pipe = folder / "pipe", link = folder / "link";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", link);
  for (const auto& [path, what] : {std::pair<fs::path, const char*>{pipe, "is a pipe, not a regular file"},
                                   {link, "is a device, not a regular file"},
                                   {"/dev/zero", "is a device, not a regular file"},
                                   {folder, "is a folder, not a regular file"}}) {
    EXPECT_NE(refusal([&] { read_file(path); }).find(what), std::string::npos) << path;
    EXPECT_NE(refusal([&] { MappedFile{path}; }).find(what), std::string::npos) << path;
    EXPECT_NE(refusal([&] { require_regular_file(path); }).find(what), std::string::npos) << path;
    EXPECT_NE(refusal([&] { write_file_atomic(path, "x"); }), "accepted") << path;
  }
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_TRUE(fs::is_character_file("/dev/zero"));
  write_file_atomic(folder / "ten", "0123456789");
  EXPECT_EQ(read_file(folder / "ten", 10), "0123456789");
  EXPECT_NE(refusal([&] { read_file(folder / "ten", 9); }).find("larger than 9 bytes"), std::string::npos);
  for (const char* file : {"/proc/self/status", "/proc/kmsg", "/sys/kernel/mm/transparent_hugepage/enabled"}) {
    if (!fs::exists(file)) continue;
    EXPECT_NE(refusal([&] { read_file(file); }).find("made up by the kernel"), std::string::npos) << file;
    EXPECT_NE(refusal([&] { open_input(file); }).find("made up by the kernel"), std::string::npos) << file;
  }
  EXPECT_NE(refusal([&] { AtomicFolder{folder / "ten"}; }), "accepted");
  EXPECT_EQ(read_file(folder / "ten"), "0123456789");
  fs::remove_all(folder);
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
