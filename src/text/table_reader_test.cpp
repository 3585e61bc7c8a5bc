#include "text/table_reader.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"

namespace vicha::embedded {
std::string_view html_entities_tsv();
std::string_view word_kinds_txt();
}  // namespace vicha::embedded

namespace vicha::text_detail {
namespace {

using Parts = std::vector<std::string_view>;

TEST(TableReader, LeavesOutCommentsAndEmptyLinesOnly) {
  EXPECT_EQ(table_lines("# head\n\na b \n #c\n# d"), (Parts{"a b ", " #c"}));
  EXPECT_EQ(table_lines(""), Parts{});
  EXPECT_EQ(table_rows("a\t\tb c\n"), (std::vector<Parts>{{"a", "", "b c"}}));
  EXPECT_EQ(word_pairs("a\tb\n#\nc\td\n").at("c"), "d");
  EXPECT_EQ(hexadecimal("1D504"), U'\U0001D504');
}

TEST(TableReader, ListsGoOnOverLinesAndKeepPhrases) {
  const auto lists = word_lists("[one]\na, in front of,b\nc\n\n# about two\n[two]\n");
  ASSERT_EQ(lists.size(), 2U);
  EXPECT_EQ(lists[0].name, "one");
  EXPECT_EQ(lists[0].entries, (Parts{"a", "in front of", "b", "c"}));
  EXPECT_EQ(lists[1].name, "two");
  EXPECT_TRUE(lists[1].entries.empty());
}

TEST(TableReader, TheProgramHasTheFilesOfTheSources) {
  const std::filesystem::path text = std::filesystem::path(VICHA_SOURCE_DIR) / "src" / "text";
  EXPECT_EQ(embedded::html_entities_tsv(), read_file(text / "cleaning" / "html_entities.tsv"));
  EXPECT_EQ(embedded::word_kinds_txt(), read_file(text / "scene_graph" / "word_kinds.txt"));
}

}  // namespace
}  // namespace vicha::text_detail
