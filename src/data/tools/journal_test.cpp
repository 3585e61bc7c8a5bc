#include "data/tools/journal.h"

#include <gtest/gtest.h>

#include "data/manifest/data_test_support.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT

std::vector<std::string> lines_of(Journal& journal) {
  std::vector<std::string> lines;
  for (std::string line; journal.next(line);) lines.push_back(line);
  return lines;
}

TEST(JournalTest, GoesOnBehindTheLastWholeLine) {
  const TemporaryFolder folder;
  const fs::path file = folder / "out.json.partial";
  {
    Journal journal(file, "of a");
    EXPECT_THROW(Journal(file, "of a"), DataError);  // one process at a time
    EXPECT_EQ(lines_of(journal), std::vector<std::string>{});
    journal.add("1");
    journal.add("2");
    journal.flush();
  }
  folder.write("out.json.partial", read_text(file) + "3 is cut sh");
  {
    Journal journal(file, "of a");
    std::string first;
    ASSERT_TRUE(journal.next(first));
    journal.flush();  // nothing new: what is unread stays
    EXPECT_EQ(first, "1");
    EXPECT_EQ(lines_of(journal), std::vector<std::string>{"2"});
    journal.add("three");
    journal.flush();
    journal.add("four");
    journal.flush();
  }
  EXPECT_EQ(read_text(file), "of a\n1\n2\nthree\nfour\n");
  {
    Journal journal(file, "of a");
    std::string line;
    ASSERT_TRUE(journal.next(line));
    ASSERT_TRUE(journal.next(line));
    journal.reject();
    EXPECT_FALSE(journal.next(line));
    journal.add("another 2");
    journal.flush();
  }
  EXPECT_EQ(read_text(file), "of a\n1\nanother 2\n");
  {
    Journal journal(file, "of b");
    EXPECT_EQ(lines_of(journal), std::vector<std::string>{});
  }
  EXPECT_FALSE(fs::exists(file));  // it held nothing
}

TEST(JournalTest, OneThatIsDoneGoes) {
  const TemporaryFolder folder;
  Journal journal(folder / "new" / "j.partial", "of a");
  journal.add("1");
  journal.flush();
  journal.remove();
  EXPECT_FALSE(fs::exists(folder / "new" / "j.partial"));
}

}  // namespace
}  // namespace vicha
