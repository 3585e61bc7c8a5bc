// What docs/adding.md quotes stands in the files that it names, line by line.
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "base/files.h"

namespace vicha {
namespace {

TEST(Excerpts, StandInTheirFiles) {
  const fs::path root = VICHA_SOURCE_DIR;
  std::istringstream page(read_file(root / "docs/adding.md"));
  std::string file, excerpt;
  bool inside = false;
  int count = 0;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("<!-- ")) {
      file = line.substr(5, line.find(" -->") - 5);
    } else if (line == "```cpp") {
      ASSERT_FALSE(file.empty()) << "an excerpt without the comment that names its file";
      inside = true;
      excerpt.clear();
    } else if (line == "```" && inside) {
      EXPECT_NE(read_file(root / file).find("\n" + excerpt), std::string::npos) << file << " does not hold\n"
                                                                                << excerpt;
      inside = false;
      file.clear();
      ++count;
    } else if (inside) {
      excerpt += line + "\n";
    }
  }
  EXPECT_FALSE(inside);
  EXPECT_GE(count, 9);
}

}  // namespace
}  // namespace vicha
