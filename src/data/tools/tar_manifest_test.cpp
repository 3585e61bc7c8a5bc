#include "data/tools/tar_manifest.h"

#include <gtest/gtest.h>

#include <array>

#include "data/tools/tar_test_support.h"

namespace vicha {
namespace {

using namespace testing_tar;  // NOLINT

TEST_F(TarTest, UnpacksWhatImg2datasetWrites) {
  const fs::path first = write_tar(folder_ / "tars/00000.tar", sample("000000000", png_, "A cat.\n", "http://a/1") +
                                                                   sample("000000007", noise_png(4), "Ein Käfer", "u"));
  const fs::path second =
      write_tar(folder_ / "tars/00001.tar.gz",
                {{"sub/000010000.PNG", png_}, {"sub/000010000.json", R"({"caption": " from JSON ", "url": 7})"}}, true);
  const UnpackReport report = unpack({first, second});
  EXPECT_EQ(report.records, 3);
  EXPECT_EQ(report.archives, 2);
  EXPECT_EQ(report.lost_samples(), 0) << report.lost_by_cause();
  EXPECT_EQ(read_text(folder_ / "out/lost.jsonl"), "") << "written all the same: it belongs to this manifest";
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

TEST_F(TarTest, AManifestThatLiesElsewhereNamesThePicturesFromThere) {
  const fs::path tar = write_tar(folder_ / "tars/0.tar", sample("a", png_, "A cat.", "u"));
  for (const auto& [manifest, name] :
       std::vector<std::pair<std::string, std::string>>{{"sub/m.jsonl", "../images/0/a.jpg"},
                                                        {"../m.jsonl", "out/images/0/a.jpg"},
                                                        {(folder_ / "x/y/m.json").string(), "../../out/images/0/a.jpg"},
                                                        {"./sub/../m.jsonl", "images/0/a.jpg"}}) {
    unpack({tar}, {.manifest = manifest});
    const fs::path file = folder_ / "out" / manifest;
    const std::vector<Json> records = records_in(file);
    ASSERT_EQ(records.size(), 1u) << manifest;
    EXPECT_EQ(records[0]["image"], name) << manifest;
    EXPECT_EQ(records[0]["image_id"], "0/a");
    EXPECT_TRUE(fs::exists(file.parent_path() / name)) << manifest;
  }
}

TEST_F(TarTest, WhatIsNoArchiveIsNamed) {
  const std::string zip = "PK\x03\x04" + std::string(600, 'z');
  for (const auto& [content, what, remedy] : std::vector<std::array<std::string, 3>>{
           {"", "is empty", "again"},
           {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "is a pointer of Git LFS",
            "git lfs pull"},
           {"\n<!DOCTYPE HTML><html>" + std::string(2000, ' '), "is a web page", "log in"},
           {"<html>", "is a web page", "log in"},
           {zip, "is a zip archive", "Unpack it"},
           {"{\"error\": \"Access denied\"}", "is JSON or text, and says \"{\"error\": \"Access denied\"}\"", "again"},
           {png_, "is a picture", "archive"},
           {std::string(700, '\x01'), "cannot be read as a tar archive", "Check the path"}}) {
    const fs::path tar = folder_.write("0.tar", content);
    const std::string message = message_of([&] { unpack({tar}); });
    EXPECT_TRUE(contains(message, tar.string() + ": ")) << message;
    EXPECT_TRUE(contains(message, what)) << message;
    EXPECT_TRUE(contains(message, remedy)) << message;
  }
}

TEST_F(TarTest, HostileMembersAreRefusedAndWriteNothing) {
  const std::string victim = (folder_ / "victim").string();
  const std::vector<PackedMember> members =
      sample("../../escape", png_, "x", "u") + sample("/tmp/vicha_tar_test_absolute", png_, "x", "u") +
      sample("a/../../../b", png_, "x", "u") + sample("back\\slash", png_, "x", "u") +
      sample("new\nline", png_, "x", "u") + sample(".records.jsonl/x", png_, "x", "u") +
      sample(std::string(250, 'n'), png_, "x", "u") + sample(std::string(1500, 'n'), png_, "x", "u") +
      std::vector<PackedMember>{{"link.jpg", "", AE_IFLNK, victim},
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
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
    const std::string name = entry.path().lexically_relative(folder_.path()).string();
    EXPECT_TRUE(name.starts_with("tars") || name.starts_with("out")) << name;
  }
  EXPECT_FALSE(fs::exists("/tmp/vicha_tar_test_absolute.jpg"));
  const std::vector<Json> records = records_in(manifest_);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0]["image"], "images/0/dir/inside.jpg");
  EXPECT_FALSE(fs::is_symlink(folder_ / "out/images/0/dir"));
  EXPECT_EQ(records[1]["caption"], "good");
  EXPECT_EQ(report.lost_for(LostCause::kUnsafeName), 8);
  EXPECT_EQ(report.lost_for(LostCause::kLink), 4);  // dir, too
  EXPECT_EQ(lost()[0].at("key"), "../../escape");
  EXPECT_EQ(lost()[0].at("detail"), "member \"jpg\": the name leads out of the folder");
  EXPECT_EQ(lost()[0].at("members"), Json({"jpg", "txt", "json"}));
}

TEST_F(TarTest, SamplesThatAreNotWholeAreCountedAndLeftOut) {
  const std::vector<PackedMember> members = {
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
  EXPECT_EQ(captions(), (std::vector<Json>{"twice", "deep", "whole"}));
  EXPECT_EQ(read_text(folder_ / "out/images/0/f.jpg"), png_);
  EXPECT_EQ(lost_causes(),
            (std::vector<std::string>{"a no_picture", "b not_a_picture", "c no_caption", "d empty_caption",
                                      "e encoding", "f duplicate_key", "g broken_json"}));
  EXPECT_EQ(report.lost_samples(), 7);
  for (const auto& entry : fs::directory_iterator(folder_ / "out/images/0")) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name.starts_with(".") || name == "f.jpg" || name == "h.jpg" || name == "i.jpg") << name;
  }
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
  EXPECT_EQ(lost_causes(), (std::vector<std::string>{"b too_large", "c too_large"}));
  EXPECT_FALSE(report.notes.empty()) << "a does without its JSON";
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

  const UnpackReport report = unpack({cut, noise, zipped, good}, {.skip_damaged = true});
  EXPECT_EQ(report.damaged, 3);
  EXPECT_EQ(report.known, 1);
  EXPECT_EQ(records_in(manifest_).size(), 1u);
  EXPECT_EQ(lost_causes(), (std::vector<std::string>{"a damaged_archive", "b damaged_archive", " damaged_archive",
                                                     " damaged_archive", "a damaged_archive", " damaged_archive"}));
  EXPECT_TRUE(contains(lost()[2].at("detail").get<std::string>(), "cut short"));
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
  EXPECT_THROW(unpack({noise}, {.skip_damaged = true}), DataError);
  EXPECT_TRUE(fs::is_empty(folder_ / "out"));  // the folder itself is the user's
}

TEST_F(TarTest, AStrangeFolderIsLeftAlone) {
  folder_.write("out/images/2/mine.jpg", png_);
  EXPECT_THROW(unpack({write_tar(folder_ / "tars/2.tar", sample("a", png_, "one", "u"))}), DataError);
  EXPECT_EQ(read_text(folder_ / "out/images/2/mine.jpg"), png_);
}

TEST_F(TarTest, WrongCommandLinesAreErrors) {
  const fs::path tar = write_tar(folder_ / "tars/1.tar", sample("a", png_, "one", "u"));
  EXPECT_THROW(unpack({}), UsageError);
  EXPECT_THROW(unpack({folder_ / "none.tar"}, {.skip_damaged = true}), DataError);
  EXPECT_THROW(unpack({folder_ / "tars"}, {.skip_damaged = true}), DataError);
  EXPECT_THROW(unpack({tar, write_tar(folder_ / "tars/more/1.tar", sample("a", png_, "one", "u"))}), DataError);
  EXPECT_THROW(unpack({write_tar(folder_ / "tars/empty.tar", {})}), DataError);
}

}  // namespace
}  // namespace vicha
