#include "data/tools/tar_manifest.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/manifest/data_test_support.h"
#include "data/manifest/rewrite.h"

namespace vicha {
namespace {

using namespace testing_data;  // NOLINT
using Json = nlohmann::ordered_json;

struct TarMember {
  std::string name, content;
  unsigned type = AE_IFREG;
  std::string link = {};
};

/// An archive of any members, right ones and others.
fs::path write_tar(const fs::path& file, const std::vector<TarMember>& members, bool gzip = false) {
  fs::create_directories(file.parent_path());
  struct archive* out = archive_write_new();
  archive_write_set_format_gnutar(out);
  if (gzip) archive_write_add_filter_gzip(out);
  EXPECT_EQ(archive_write_open_filename(out, file.c_str()), ARCHIVE_OK);
  for (const TarMember& member : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, member.name.c_str());
    archive_entry_set_filetype(entry, member.type);
    archive_entry_set_perm(entry, 0644);
    if (member.type == AE_IFLNK) archive_entry_set_symlink(entry, member.link.c_str());
    if (member.type == AE_IFREG && !member.link.empty()) archive_entry_set_hardlink(entry, member.link.c_str());
    archive_entry_set_size(entry, member.link.empty() ? static_cast<la_int64_t>(member.content.size()) : 0);
    EXPECT_EQ(archive_write_header(out, entry), ARCHIVE_OK) << member.name;
    if (member.link.empty()) archive_write_data(out, member.content.data(), member.content.size());
    archive_entry_free(entry);
  }
  EXPECT_EQ(archive_write_close(out), ARCHIVE_OK);
  archive_write_free(out);
  return file;
}

std::vector<Json> records_in(const fs::path& file) {
  std::vector<Json> records;
  for_each_record(file, [&](const Json& record, std::int64_t) { records.push_back(record); });
  return records;
}

std::vector<TarMember> sample(const std::string& key, const std::string& image, const std::string& caption,
                              const std::string& url) {
  return {{key + ".jpg", image}, {key + ".txt", caption}, {key + ".json", Json({{"url", url}, {"key", key}}).dump()}};
}

std::vector<TarMember> operator+(std::vector<TarMember> a, const std::vector<TarMember>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class TarTest : public ::testing::Test {
 protected:
  UnpackReport unpack(const std::vector<fs::path>& tars, bool skip_damaged = false) const {
    UnpackOptions options;
    options.out = folder_ / "out";
    options.skip_damaged = skip_damaged;
    options.threads = 2;
    return unpack_tars(tars, options);
  }
  /// Every file outside of the archives' own folder and the output.
  std::vector<std::string> strangers() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      const std::string name = entry.path().lexically_relative(folder_.path()).string();
      if (!name.starts_with("tars") && !name.starts_with("out")) found.push_back(name);
    }
    return found;
  }

  TemporaryFolder folder_;
  std::string png_ = noise_png(3);
  fs::path manifest_ = folder_ / "out/manifest.jsonl";
};

TEST_F(TarTest, UnpacksWhatImg2datasetWrites) {
  const fs::path first = write_tar(folder_ / "tars/00000.tar", sample("000000000", png_, "A cat.\n", "http://a/1") +
                                                                   sample("000000007", noise_png(4), "Ein Käfer", "u"));
  const fs::path second =
      write_tar(folder_ / "tars/00001.tar.gz",
                {{"sub/000010000.PNG", png_}, {"sub/000010000.json", R"({"caption": " from JSON ", "url": 7})"}}, true);
  const UnpackReport report = unpack({first, second});
  EXPECT_EQ(report.records, 3);
  EXPECT_EQ(report.archives, 2);
  EXPECT_EQ(report.refused + report.no_caption + report.no_image + report.bad_text, 0);
  EXPECT_EQ(read_text(manifest_),
            "{\"image\":\"images/00000/000000000.jpg\",\"caption\":\"A cat.\",\"image_id\":\"00000/000000000\","
            "\"url\":\"http://a/1\"}\n"
            "{\"image\":\"images/00000/000000007.jpg\",\"caption\":\"Ein Käfer\",\"image_id\":\"00000/000000007\","
            "\"url\":\"u\"}\n"
            "{\"image\":\"images/00001/sub/000010000.png\",\"caption\":\"from JSON\","
            "\"image_id\":\"00001/sub/000010000\",\"url\":7}\n");
  EXPECT_EQ(read_text(folder_ / "out/images/00000/000000000.jpg"), png_);
  EXPECT_EQ(read_text(folder_ / "out/images/00001/sub/000010000.png"), png_);
}

TEST_F(TarTest, HostileMembersAreRefusedAndWriteNothing) {
  const std::string victim = (folder_ / "victim").string();
  const std::vector<TarMember> members =
      sample("../../escape", png_, "x", "u") + sample("/tmp/vicha_tar_test_absolute", png_, "x", "u") +
      sample("a/../../../b", png_, "x", "u") + sample("back\\slash", png_, "x", "u") +
      sample("new\nline", png_, "x", "u") + sample(".records.jsonl/x", png_, "x", "u") +
      sample(std::string(250, 'n'), png_, "x", "u") + sample(std::string(1500, 'n'), png_, "x", "u") +
      std::vector<TarMember>{{"link.jpg", "", AE_IFLNK, victim},
                             {"link.txt", "x"},
                             {"hard.jpg", "", AE_IFREG, victim},
                             {"hard.txt", "x"},
                             {"pipe.jpg", "", AE_IFIFO},
                             {"pipe.txt", "x"},
                             {"dir", "", AE_IFLNK, folder_.path().string()},
                             {"dir/inside.jpg", png_},
                             {"dir/inside.txt", "stays inside"},
                             {"good.jpg", png_},
                             {"good.txt", "good"}};
  const UnpackReport report = unpack({write_tar(folder_ / "tars/0.tar", members)});
  EXPECT_EQ(strangers(), std::vector<std::string>{});
  EXPECT_FALSE(fs::exists("/tmp/vicha_tar_test_absolute.jpg"));
  const std::vector<Json> records = records_in(manifest_);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0]["image"], "images/0/dir/inside.jpg");
  EXPECT_FALSE(fs::is_symlink(folder_ / "out/images/0/dir"));
  EXPECT_EQ(records[1]["caption"], "good");
  EXPECT_EQ(report.refused, 8 * 3 + 4);
  EXPECT_EQ(report.no_image, 3);
  ASSERT_FALSE(report.examples.empty());
  EXPECT_EQ(report.examples[0], "../../escape.jpg: the name leads out of the folder");
}

TEST_F(TarTest, SamplesThatAreNotWholeAreCountedAndLeftOut) {
  const std::vector<TarMember> members = {
      {"a.txt", "no picture"},
      {"b.jpg", "no picture either"},
      {"b.txt", "x"},
      {"c.jpg", png_},
      {"d.jpg", png_},
      {"d.txt", " \n"},
      {"e.jpg", png_},
      {"e.txt", "not UTF-8: \xff"},
      {"f.jpg", png_},
      {"f.txt", "twice"},
      {"f.jpg", noise_png(9)},
      {"g.jpg", png_},
      {"g.json", "{\"caption\": "},
      {"h.jpg", png_},
      {"h.json", "{\"caption\":\"deep\",\"url\":" + std::string(50000, '[') + std::string(50000, ']') + "}"},
      {"i.jpg", png_},
      {"i.txt", "whole"},
      {"f.jpg", noise_png(9)},  // later: a sample of its own whose name is taken
      {"f.txt", "again"},
  };
  const UnpackReport report = unpack({write_tar(folder_ / "tars/0.tar", members)});
  std::vector<std::string> captions;
  for (const Json& record : records_in(manifest_)) captions.push_back(record["caption"]);
  EXPECT_EQ(captions, (std::vector<std::string>{"twice", "deep", "whole"}));
  EXPECT_EQ(read_text(folder_ / "out/images/0/f.jpg"), png_);
  EXPECT_EQ(report.no_image, 2);
  EXPECT_EQ(report.no_caption, 3);  // c, d, g
  EXPECT_EQ(report.bad_text, 2);    // e, g
  EXPECT_EQ(report.refused, 2);     // f twice
}

TEST_F(TarTest, LargeMembersAreRefused) {
  UnpackOptions options;
  options.out = folder_ / "out";
  options.limits = {.image_bytes = 4000, .text_bytes = 10};
  const fs::path tar = write_tar(folder_ / "tars/0.tar", sample("a", png_, "short", "u") +
                                                             sample("b", noise_png(1, 100, 100), "short", "u") +
                                                             sample("c", png_, "longer than that", "u"));
  const UnpackReport report = unpack_tars({tar}, options);
  EXPECT_EQ(report.records, 1);
  EXPECT_EQ(report.no_image, 1);
  EXPECT_EQ(report.no_caption, 1);
  EXPECT_EQ(report.refused, 5);  // b's image, c's text, all JSON
}

TEST_F(TarTest, ADamagedArchiveStopsAfterTheOthersOrIsLeftOut) {
  const fs::path good = write_tar(folder_ / "tars/good.tar", sample("a", png_, "x", "u"));
  const fs::path cut = write_tar(folder_ / "tars/cut.tar", sample("a", png_, "x", "u") + sample("b", png_, "x", "u"));
  const std::string bytes = read_text(cut);
  folder_.write("tars/cut.tar", bytes.substr(0, bytes.find("b.jpg") + 700));
  const fs::path noise = folder_.write("tars/noise.tar", std::string(5000, 'x'));
  const fs::path zipped = write_tar(folder_ / "tars/zipped.tar.gz", sample("a", png_, "x", "u"), true);
  const std::string packed = read_text(zipped);
  folder_.write("tars/zipped.tar.gz", packed.substr(0, packed.size() / 2));

  EXPECT_THROW(unpack({cut, noise, zipped, good}), DataError);
  EXPECT_FALSE(fs::exists(manifest_));
  EXPECT_TRUE(fs::exists(folder_ / "out/images/good/a.jpg"));
  EXPECT_FALSE(fs::exists(folder_ / "out/images/cut"));

  const UnpackReport report = unpack({cut, noise, zipped, good}, true);
  EXPECT_EQ(report.damaged, 3);
  EXPECT_EQ(report.known, 1);
  EXPECT_EQ(records_in(manifest_).size(), 1u);
  EXPECT_TRUE(fs::exists(folder_ / "out/images/cut.unfinished/a.jpg")) << "unfinished ones stay for a look";
  EXPECT_FALSE(fs::exists(folder_ / "out/images/noise.unfinished"));
}

TEST_F(TarTest, ARepeatGoesOnWhereAKillStoppedIt) {
  const fs::path first = write_tar(folder_ / "tars/1.tar", sample("a", png_, "one", "u"));
  const fs::path second = write_tar(folder_ / "tars/2.tar", sample("b", png_, "two", "u"));
  unpack({first});
  // A kill in the middle of the second leaves this:
  folder_.write("out/images/2.unfinished/b.jpg", "half");
  const fs::file_time_type before = fs::last_write_time(folder_ / "out/images/1/a.jpg");
  const UnpackReport report = unpack({first, second});
  EXPECT_EQ(report.known, 1);
  EXPECT_EQ(report.records, 2);
  EXPECT_EQ(fs::last_write_time(folder_ / "out/images/1/a.jpg"), before);
  EXPECT_EQ(read_text(folder_ / "out/images/2/b.jpg"), png_);
  EXPECT_FALSE(fs::exists(folder_ / "out/images/2.unfinished"));
}

TEST_F(TarTest, WhatIsNoArchiveLeavesNothing) {
  const fs::path noise = folder_.write("tars/noise.tar", std::string(5000, 'x'));
  EXPECT_THROW(unpack({noise}), DataError);
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  EXPECT_THROW(unpack({folder_ / "none.tar"}), DataError);
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  fs::create_directories(folder_ / "out");
  EXPECT_THROW(unpack({noise}, true), DataError);
  EXPECT_TRUE(fs::is_empty(folder_ / "out"));  // the folder itself is the user's
}

TEST_F(TarTest, AChangedArchiveOrAStrangeFolderIsNoticed) {
  const fs::path tar = write_tar(folder_ / "tars/1.tar", sample("a", png_, "one", "u"));
  unpack({tar});
  write_tar(tar, sample("a", png_, "one", "u") + sample("b", noise_png(9, 90, 90), "two", "u"));
  EXPECT_THROW(unpack({tar}), DataError);
  folder_.write("out/images/2/mine.jpg", png_);
  EXPECT_THROW(unpack({write_tar(folder_ / "tars/2.tar", sample("a", png_, "one", "u"))}), DataError);
  EXPECT_EQ(read_text(folder_ / "out/images/2/mine.jpg"), png_);
}

TEST_F(TarTest, WrongCommandLinesAreErrors) {
  const fs::path tar = write_tar(folder_ / "tars/1.tar", sample("a", png_, "one", "u"));
  EXPECT_THROW(unpack({}), UsageError);
  EXPECT_THROW(unpack({folder_ / "none.tar"}, true), DataError);
  EXPECT_THROW(unpack({folder_ / "tars"}, true), DataError);
  EXPECT_THROW(unpack({tar, write_tar(folder_ / "tars/more/1.tar", sample("a", png_, "one", "u"))}), DataError);
  EXPECT_THROW(unpack({write_tar(folder_ / "tars/empty.tar", {})}), DataError);
}

}  // namespace
}  // namespace vicha
