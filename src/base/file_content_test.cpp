#include "base/file_content.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace vicha {
namespace {

using namespace std::string_literals;

TEST(FileContent, IsToldByTheFirstBytes) {
  const std::string rest(600, '\x05');
  std::string tar(512, '\0');
  tar.replace(0, 5, "a.jpg").replace(257, 5, "ustar");
  const std::pair<std::string, std::pair<FileKind, const char*>> files[] = {
      {"", {FileKind::kEmpty, "empty"}},
      {std::string(100, '\0'), {FileKind::kZeros, "broken off"}},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", {FileKind::kPointer, "Git LFS"}},
      {"version https://hawser.github.com/spec/v1\n", {FileKind::kPointer, "Git LFS"}},
      {"# xet version 0\n", {FileKind::kPointer, "Xet"}},
      {"/annex/objects/SHA256E-s1--2.pth\n", {FileKind::kPointer, "git-annex"}},
      {"outs:\n- md5: 0\n", {FileKind::kPointer, "DVC"}},
      {"\x1f\x8b\x08" + rest, {FileKind::kCompressed, "gzip"}},
      {"\xfd\x37zXZ\0"s + rest, {FileKind::kCompressed, "xz"}},
      {"PK\x03\x04" + rest, {FileKind::kArchive, "zip"}},
      {tar, {FileKind::kTar, "tar"}},
      {"\x89PNG\r\n\x1a\n" + rest, {FileKind::kPicture, "PNG"}},
      {"RIFF\x10\0\0\0WEBP"s + rest, {FileKind::kPicture, "WebP"}},
      {"RIFF\x10\0\0\0AVI "s + rest, {FileKind::kFilm, "AVI"}},
      {"\0\0\0\x1c"
       "ftypavif"s +
           rest,
       {FileKind::kPicture, "AVIF"}},
      {"\0\0\0\x18"
       "ftypmp42"s +
           rest,
       {FileKind::kFilm, "film"}},
      {"%PDF-1.7\n", {FileKind::kDocument, "PDF"}},
      {"PAR1" + rest, {FileKind::kParquet, "Parquet"}},
      {"\x93NUMPY\x01" + rest, {FileKind::kArrays, "NumPy"}},
      {"GGUF\x03" + rest, {FileKind::kWeights, "GGUF"}},
      {"\x1c\0\0\0TFL3"s + rest, {FileKind::kWeights, "TensorFlow Lite"}},
      {"\x7f"
       "ELF" +
           rest,
       {FileKind::kProgram, "ELF"}},
      {"\xef\xbb\xbf\n<!DOCTYPE HTML><p>", {FileKind::kWebPage, "web page"}},
      {"<?xml version=\"1.0\"?><!DOCTYPE html><html>", {FileKind::kWebPage, "web page"}},
      {"<?xml version=\"1.0\"?><Error/>", {FileKind::kXml, "XML"}},
      {"\xff\xfe{\0"s, {FileKind::kUtf16, "UTF-16"}},
  };
  for (const auto& [bytes, expected] : files) {
    const std::optional<FileContent> content = file_content(bytes);
    ASSERT_TRUE(content) << expected.second;
    EXPECT_EQ(content->kind, expected.first) << content->what;
    EXPECT_NE(content->what.find(expected.second), std::string_view::npos) << content->what;
  }
  for (const std::string& own : {"a dog\n"s, "[{\"image\": \"a.jpg\"}]"s, "<unk>\n<s>\n"s, "<3 dogs"s,
                                 "RIFF raff in an AVI "s, "the ftyp of a film"s, rest}) {
    EXPECT_FALSE(file_content(own)) << own;
  }
}

TEST(FileContent, RemediesNameTheCommandWhereThereIsOne) {
  EXPECT_EQ(content_remedy(*file_content("version https://git-lfs"), "a", "no"), "Fetch the file itself: git lfs pull");
  EXPECT_EQ(content_remedy(*file_content("\x1f\x8b"), "a.gz", "no"), "Unpack it first: gunzip -k 'a.gz'");
  EXPECT_EQ(content_remedy(*file_content("PK\x05\x06"), "a.zip", "Copy it again"), "Copy it again");
  EXPECT_EQ(content_remedy(*file_content("%PDF"), "a.pdf", "Name a text"), "Name a text");
}

TEST(TextFiles, ThatAreNoneAreRefused) {
  const fs::path folder = fs::path(::testing::TempDir()) / ("file_content_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const fs::path file = folder / "words.txt";
  write_file_atomic(file,
                    "\xef\xbb\xbf"
                    "a dog\n");
  EXPECT_NO_THROW(require_text_file(file));
  EXPECT_EQ(read_text_file(file),
            "\xef\xbb\xbf"
            "a dog\n");
  for (const auto& [content, part] : {std::pair{"version https://git-lfs.github.com/spec/v1\n"s, "git lfs pull"},
                                      {"# xet version 0\n"s, "hf download"},
                                      {"\x1f\x8b\x08"s, "gunzip -k '"},
                                      {"\xff\xd8\xff\xe0"s, "is a picture in JPEG. Give a file of text"},
                                      {"a dog\ra cat\r"s, "tr '\\r' '\\n'"},
                                      {"<html>Sign in</html>"s, "log in"}}) {
    write_file_atomic(file, content);
    try {
      read_text_file(file);
      ADD_FAILURE() << part;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(file.string() + ": "), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
    EXPECT_THROW(require_text_file(file), DataError);
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace vicha
