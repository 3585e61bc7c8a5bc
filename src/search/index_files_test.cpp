#include "search/index_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/error.h"
#include "base/files.h"

namespace vicha {
namespace {

TEST(IndexFiles, LinesReadBackTheSame) {
  for (const std::string name : {"a.jpg", "caf\xe9.jpg", "line\nfeed.png", "\xff"}) {
    const IndexedFile file{name, 12, -3, 0xfedcba9876543210, 7};
    const IndexedFile again = indexed_file_from_json(file.to_json(), "files.jsonl, line 1");
    EXPECT_EQ(again.name, name);
    EXPECT_EQ(again.size, 12U);
    EXPECT_EQ(again.modified, -3);
    EXPECT_EQ(again.content, file.content);
    EXPECT_EQ(again.row, 7);
  }
}

TEST(IndexFiles, DamagedLinesAreNamed) {
  const std::string whole = IndexedFile{"\xff", 12, 3, 5, 7}.to_json();
  const auto with = [&](const std::string& part, const std::string& other) {
    std::string line = whole;
    return line.replace(line.find(part), part.size(), other);
  };
  for (const std::string& line :
       {std::string("{"), std::string("[]"), with("\"ff\"", "\"f\""), with("\"ff\"", "\"zz\""), with("\"ff\"", "7"),
        with("0005\"", "000x\""), with("12", "\"12\""), "\x1b[31m" + whole}) {
    try {
      indexed_file_from_json(line, "files.jsonl, line 4");
      ADD_FAILURE() << line;
    } catch (const DataError& error) {
      EXPECT_EQ(std::string(error.what()).rfind("files.jsonl, line 4: is damaged (", 0), 0U) << error.what();
      EXPECT_EQ(std::string_view(error.what()).find('\x1b'), std::string_view::npos);
    }
  }
}

TEST(IndexFiles, ADescriptionNestedWithoutEndIsRefused) {
  const fs::path file = fs::temp_directory_path() / ("vicha_index_" + std::to_string(::getpid()) + ".json");
  const std::string deep(200'000, '[');
  write_file_atomic(file, R"({"vicha_index": 1, "source": "", "root": "", "model": "", "weights": )" + deep +
                              std::string(deep.size(), ']') + "}");
  EXPECT_THROW(read_description(file), DataError);  // and not the end of the stack
  fs::remove(file);
}

}  // namespace
}  // namespace vicha
