// Which samples of an archive are whole, what is said of the others, and what an archive is known by.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/tools/tar_json.h"
#include "data/tools/tar_test_support.h"

namespace vicha {
namespace {

using namespace testing_tar;  // NOLINT

std::string refusal(const std::function<void()>& run) {
  try {
    run();
  } catch (const DataError& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

TEST_F(TarTest, MembersNeedNotLieSideBySide) {
  const UnpackReport report = unpack({reported("unsorted.tar"), reported("mixed_order.tar")});
  EXPECT_EQ(report.records, 5);
  EXPECT_EQ(report.apart, 4);
  EXPECT_EQ(report.lost_samples(), 0) << report.lost_by_cause();
  EXPECT_EQ(captions(), (std::vector<Json>{"one", "two", "one", "two", "three"}));
}

TEST_F(TarTest, SidecarsMayComeLast) {
  std::vector<PackedMember> members;
  for (int i = 0; i < 50; ++i) members.push_back({std::to_string(i) + ".jpg", png_});
  for (int i = 49; i >= 0; --i) members.push_back({std::to_string(i) + ".txt", "caption " + std::to_string(i)});
  for (int i = 0; i < 50; ++i) members.push_back({std::to_string(i) + ".json", Json({{"url", i}}).dump()});
  EXPECT_EQ(unpack({write_tar(folder_ / "tars/0.tar", members)}).records, 50);
  const std::vector<Json> records = records_in(manifest_);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(records[static_cast<std::size_t>(i)].at("caption"), "caption " + std::to_string(i));
    EXPECT_EQ(records[static_cast<std::size_t>(i)].at("url"), i);
  }
}

TEST_F(TarTest, KeysEndAtTheFirstDotOrTheLast) {
  const std::string message = refusal([&] { unpack({reported("dots.tar")}); });
  EXPECT_TRUE(contains(message, "3 whose key holds dots")) << message;
  EXPECT_TRUE(contains(message, "--key-end last-dot")) << message;
  EXPECT_EQ(lost_causes(), (std::vector<std::string>{"a dots_in_key", "22 dots_in_key", "x/v1.0/1 dots_in_key"}));
  EXPECT_EQ(unpack({reported("dots.tar")}, {.key_end = KeyEnd::kLastDot}).records, 3);
  EXPECT_EQ(records_in(manifest_)[0].at("image_id"), "dots/a.b");
  EXPECT_EQ(records_in(manifest_)[2].at("image"), "images/dots/x/v1.0/1.1.png");
}

TEST_F(TarTest, AnotherMemberIsTheCaption) {
  const std::string message = refusal([&] { unpack({reported("input_output.tar")}); });
  EXPECT_TRUE(contains(message, "2 without a caption")) << message;
  EXPECT_TRUE(contains(message, "Members: input.jpg (2), outputs.txt (2)")) << message;
  EXPECT_EQ(unpack({reported("input_output.tar")}, {.sample = {.caption_members = {"outputs.txt"}}}).records, 2);
  EXPECT_EQ(captions(), (std::vector<Json>{"one", "two"}));
}

TEST_F(TarTest, AnotherFieldIsTheCaption) {
  UnpackReport report = unpack({reported("laion_recap.tar")});
  EXPECT_EQ(captions(), (std::vector<Json>{"short alt"}));
  EXPECT_EQ(lost_causes(), (std::vector<std::string>{"2 no_caption"}));
  ASSERT_EQ(report.advice().size(), 1u);
  EXPECT_TRUE(contains(report.advice()[0], "re_caption (1)")) << report.advice()[0];
  EXPECT_TRUE(contains(report.advice()[0], "TEXT (1)")) << report.advice()[0];
  report = unpack({reported("laion_recap.tar")}, {.sample = {.caption_fields = {"re_caption", "TEXT"}}});
  EXPECT_EQ(captions(), (std::vector<Json>{"a long careful caption", "laion column"}));
  EXPECT_EQ(report.lost_samples(), 0);
}

TEST_F(TarTest, FieldsLieDeepAndHoldLists) {
  const std::vector<PackedMember> members = {
      {"a.jpg", png_}, {"a.json", R"({"meta": {"texts": ["one", " ", "two "]}})"},
      {"b.jpg", png_}, {"b.json", R"({"meta": {"texts": "alone"}})"},
      {"c.jpg", png_}, {"c.json", R"({"meta": {"texts": [{"raw": 1}]}})"},
      {"d.jpg", png_}, {"d.json", R"({"meta": {"texts": []}})"},
      {"e.jpg", png_}, {"e.json", R"({"meta": {"texts": ["", " "]}})"},
      {"f.jpg", png_}, {"f.json", R"({"meta.texts": "a name with a dot"})"}};
  const fs::path tar = write_tar(folder_ / "tars/0.tar", members);
  unpack({tar}, {.sample = {.caption_fields = {"meta.texts"}}});
  EXPECT_EQ(captions(), (std::vector<Json>{Json({"one", "two"}), "alone", "a name with a dot"}));
  EXPECT_EQ(lost_causes(), (std::vector<std::string>{"c no_text", "d no_caption", "e empty_caption"}));
}

TEST(SampleJson, FieldsAreFoundByTheirNames) {
  const SampleJson json(R"({"sentences": [{"raw": "A"}, {"raw": "B"}, {"tokens": 3}], "x": ["p", "q"], "n": NaN})");
  EXPECT_EQ(json.fault(), "");
  EXPECT_EQ(json.texts("sentences.raw").found, (std::vector<std::string>{"A", "B"}));
  EXPECT_EQ(json.texts("sentences.1.raw").found, (std::vector<std::string>{"B"}));
  EXPECT_EQ(json.texts("x.1").found, (std::vector<std::string>{"q"}));
  EXPECT_EQ(json.texts("x.9").found, std::vector<std::string>{});
  EXPECT_TRUE(json.texts("n").nan);
  EXPECT_EQ(json.texts("none.at.all").found, std::vector<std::string>{});
}

TEST_F(TarTest, NanCostsTheFieldThatHoldsIt) {
  const std::vector<PackedMember> members = {
      {"a.jpg", png_},
      {"a.json", R"({"caption": "kept", "similarity": NaN, "url": "u"})"},
      {"b.jpg", png_},
      {"b.json", R"({"caption": NaN, "url": "u"})"},
      {"c.jpg", png_},
      {"c.json", R"({"caption": "says \"NaN\" itself: NaN", "url": [1, -Infinity]})"},
      {"d.jpg", png_},
      {"d.txt", "has a text"},
      {"d.json", "{\"url\": Nan}"},
      {"e.jpg", png_},
      {"e.json", R"({"caption": "deep", "url": )" + std::string(16, '[') + std::string(16, ']') + "}"},
      {"f.jpg", png_},
      {"f.json", R"({"caption": "flat", "n": [], "url": )" + std::string(15, '[') + std::string(15, ']') + "}"}};
  const UnpackReport report = unpack({write_tar(folder_ / "tars/0.tar", members)});
  EXPECT_EQ(captions(), (std::vector<Json>{"kept", "says \"NaN\" itself: NaN", "has a text", "deep", "flat"}));
  EXPECT_EQ(lost_causes(), (std::vector<std::string>{"b nan"}));
  EXPECT_TRUE(contains(lost()[0].at("detail").get<std::string>(), "field \"caption\" of member \"json\" is NaN"));
  EXPECT_FALSE(records_in(manifest_)[1].contains("url"));
  ASSERT_EQ(report.notes.size(), 3u);
  EXPECT_TRUE(contains(report.notes[0], "c.json: field \"url\" holds NaN"));
  EXPECT_TRUE(contains(report.notes[2], "e.json: field \"url\" is nested more than 15 levels deep"));
  EXPECT_FALSE(records_in(manifest_)[3].contains("url"));
  EXPECT_TRUE(records_in(manifest_)[4].contains("url"));
}

TEST_F(TarTest, EachKindOfLossHasItsCause) {
  const std::vector<PackedMember> members = {{"1.tga", "x"},
                                             {"1.txt", "no known extension"},
                                             {"2", png_},
                                             {"2.txt", "no extension"},
                                             {"3.a.jpg", png_},
                                             {"3.b.jpg", png_},
                                             {"3.txt", "which"},
                                             {"4.jpg", "<html>"},
                                             {"4.txt", "a page"},
                                             {"5.jpg", ""},
                                             {"5.txt", "empty"},
                                             {"6.jpg", png_},
                                             {"6.json", "{\"caption\": \"\xff\"}"},
                                             {"7.jpg", png_},
                                             {"7.json", R"({"caption": 7})"},
                                             {"8\xff.jpg", png_},
                                             {"8\xff.txt", "a name in Latin-1"},
                                             {"9.mp3", "no sample"},
                                             {"__manifest__", "neither"},
                                             {".hidden.jpg", png_},
                                             {"._0.jpg", png_},
                                             {".png", png_},
                                             {"10.jpg", png_},
                                             {"10.txt", "\xef\xbb\xbfwith a byte order mark"}};
  const UnpackReport report = unpack({write_tar(folder_ / "tars/0.tar", members)});
  EXPECT_EQ(captions(), (std::vector<Json>{"with a byte order mark"}));
  EXPECT_EQ(lost_causes(), (std::vector<std::string>{"1 unknown_extension", "2 unknown_extension", "3 several_pictures",
                                                     "4 not_a_picture", "5 not_a_picture", "6 encoding", "7 no_text",
                                                     "8\\xff name_encoding", ".png unsafe_name"}));
  EXPECT_TRUE(contains(lost()[3].at("detail").get<std::string>(), "an HTML page"));
  EXPECT_EQ(lost()[0].at("archive"), (folder_ / "tars/0.tar").string());
  EXPECT_TRUE(contains(report.lost_by_cause(), "2 whose picture's extension is not known"));
  UnpackOptions named;
  named.sample.image_members = {"a.jpg", "", "jpg"};
  unpack({folder_ / "tars/0.tar"}, named);
  EXPECT_EQ(captions(), (std::vector<Json>{"no extension", "which", "with a byte order mark"}));
  EXPECT_TRUE(fs::exists(folder_ / "out/images/0/3.a.jpg"));
  EXPECT_FALSE(fs::exists(folder_ / "out/images/0/3.b.jpg"));
}

TEST_F(TarTest, AnArchiveIsKnownByItsContent) {
  fs::create_directories(folder_ / "tars");
  const fs::path tar = folder_ / "tars/0.tar";
  fs::copy_file(reported("plain.tar"), tar);
  const auto written = fs::last_write_time(tar);
  unpack({tar});
  EXPECT_EQ(captions(), (std::vector<Json>{"a red car", "second"}));
  // Another archive of the same size, and the same time.
  fs::copy_file(reported("dotdir.tar"), tar, fs::copy_options::overwrite_existing);
  fs::last_write_time(tar, written);
  const UnpackReport report = unpack({tar});
  EXPECT_EQ(report.known, 0);
  EXPECT_EQ(captions(), (std::vector<Json>{"one", "two"}));
  EXPECT_EQ(records_in(manifest_)[0].at("image"), "images/0/train.v1/0001.jpg");
  EXPECT_FALSE(fs::exists(folder_ / "out/images/0/000000000.jpg"));
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder_ / "out/images")) {
    left.push_back(entry.path().filename().string());
  }
  EXPECT_EQ(left, std::vector<std::string>{"0"});

  // Touched, or copied: the same content is known again.
  fs::copy_file(tar, folder_ / "tars/copy");
  fs::rename(folder_ / "tars/copy", tar);
  EXPECT_EQ(unpack({tar}).known, 1);
  // Other options make another folder of it.
  EXPECT_EQ(unpack({tar}, {.key_end = KeyEnd::kLastDot}).known, 0);
  EXPECT_EQ(unpack({tar}, {.key_end = KeyEnd::kLastDot}).known, 1);
}

TEST_F(TarTest, AChangedArchiveThatIsDamagedLeavesTheOldFolder) {
  const fs::path tar = write_tar(folder_ / "tars/0.tar", sample("a", png_, "one", "u"));
  unpack({tar});
  const std::string bytes = read_text(tar);
  folder_.write("tars/0.tar", bytes.substr(0, 700));
  EXPECT_THROW(unpack({tar}), DataError);
  EXPECT_TRUE(fs::exists(folder_ / "out/images/0/a.jpg"));
  folder_.write("tars/0.tar", bytes);
  EXPECT_EQ(unpack({tar}).known, 1);
}

TEST_F(TarTest, AnArchiveCutBetweenMembersIsSaidToBe) {
  const fs::path tar = write_tar(folder_ / "tars/0.tar", sample("a", png_, "one", "u") + sample("b", png_, "x", "u"));
  const std::string bytes = read_text(tar);
  folder_.write("tars/0.tar", bytes.substr(0, bytes.find("b.jpg")));
  const UnpackReport report = unpack({tar});
  EXPECT_EQ(report.records, 1);
  ASSERT_FALSE(report.notes.empty());
  EXPECT_TRUE(contains(report.notes[0], "no end mark")) << report.notes[0];
}

TEST_F(TarTest, ArchivesOneBehindTheOtherAreRead) {
  const fs::path tar = write_tar(folder_ / "tars/0.tar", sample("a", png_, "one", "u"));
  EXPECT_TRUE(unpack({tar}).notes.empty());
  const std::string bytes = read_text(tar), plain = read_text(reported("plain.tar"));
  folder_.write("tars/0.tar", bytes + plain);
  UnpackReport report = unpack({tar});
  EXPECT_EQ(captions(), (std::vector<Json>{"one", "a red car", "second"}));
  EXPECT_EQ(report.lost_samples(), 0);
  EXPECT_TRUE(report.notes.empty());
  const fs::path gz = write_tar(folder_ / "tars/1.tar.gz", sample("b", png_, "packed", "u"), true);
  const std::string packed = read_text(gz);
  folder_.write("tars/1.tar.gz",
                packed + read_text(write_tar(folder_ / "2.tar.gz", sample("c", png_, "too", "u"), true)));
  EXPECT_EQ(unpack({gz}).records, 2);
}

TEST_F(TarTest, DamageOfWhatGzipHasCompressedIsSeen) {
  const fs::path one = write_tar(folder_ / "tars/1.tar.gz", sample("a", png_, "one", "u"), true);
  const std::string first = read_text(one);
  const std::string second = read_text(write_tar(folder_ / "2.tar.gz", sample("b", png_, "two", "u"), true));
  std::string header = second, checksum = first, length = first;
  header[1] = '\x8c';
  checksum[first.size() - 8] = static_cast<char>(checksum[first.size() - 8] ^ 1);
  length[first.size() - 4] = static_cast<char>(length[first.size() - 4] ^ 1);
  const std::pair<std::string, const char*> damaged[] = {{first + header, "gzip says"},
                                                         {first + second.substr(0, 6), "in the middle"},
                                                         {first + "garbage", "is not compressed by gzip"},
                                                         {checksum, "incorrect data check"},
                                                         {length, "incorrect length check"}};
  for (const auto& [bytes, why] : damaged) {
    folder_.write("tars/1.tar.gz", bytes);
    const std::string message = message_of([&] { unpack({one}); });
    EXPECT_TRUE(contains(message, "damaged or cut short")) << message;
    EXPECT_TRUE(contains(message, why)) << message;
  }
  folder_.write("tars/1.tar.gz", first + second + std::string(1000, '\0'));
  EXPECT_EQ(unpack({one}).records, 2) << "padding is none";
}

TEST_F(TarTest, TheManifestIsNoPicture) {
  const fs::path tar = write_tar(folder_ / "tars/0.tar", sample("a", png_, "one", "u"));
  for (const char* manifest : {"images/0/a.jpg", "images/m.json", "x/../images/0/m.json"}) {
    EXPECT_TRUE(contains(message_of([&] { unpack({tar}, {.manifest = manifest}); }), "pictures go")) << manifest;
  }
}

TEST_F(TarTest, WhatIsNoMemberIsNamedByItsPlace) {
  const fs::path tar = write_tar(folder_ / "tars/0.tar", sample("a", png_, "one", "u"));
  const std::string bytes = read_text(tar);
  for (const std::size_t size : {std::size_t{100}, std::size_t{512}, std::size_t{5000}}) {
    folder_.write("tars/0.tar", bytes + std::string(size, 'x'));
    const UnpackReport report = unpack({tar});
    EXPECT_EQ(report.records, 1);
    EXPECT_EQ(lost_causes(), std::vector<std::string>{" damaged_archive"});
    ASSERT_FALSE(report.notes.empty());
    EXPECT_TRUE(contains(report.notes[0], fmt::format("{} bytes from byte {} on", size, bytes.size())))
        << report.notes[0];
  }
  // A header that was damaged in the middle costs its member, and is no silence.
  std::string damaged = bytes;
  damaged[bytes.find("a.txt")] = 'b';
  folder_.write("tars/0.tar", damaged);
  EXPECT_THROW(unpack({tar}), DataError);
  EXPECT_EQ(lost_causes(), (std::vector<std::string>{" damaged_archive", "a no_caption"}));
}

TEST_F(TarTest, ZerosWithoutEndAreNoArchive) {
  const fs::path tar = write_tar(folder_ / "tars/0.tar", sample("a", png_, "one", "u"));
  fs::resize_file(tar, std::uintmax_t{1} << 40);
  const std::string message = refusal([&] { unpack({tar}); });
  EXPECT_TRUE(contains(message, "nothing but zeros from about byte")) << message;
}

TEST_F(TarTest, WhatATakenSampleLacksIsNamed) {
  const UnpackReport report =
      unpack({write_tar(folder_ / "tars/0.tar", {{"a.png", png_},
                                                 {"a.jpg", png_},
                                                 {"a.txt", "two pictures"},
                                                 {"b.jpg", png_},
                                                 {"b.json", R"({"caption": ["one", 3, {"x": 1}, NaN, "two"]})"},
                                                 {"c.jpg", png_},
                                                 {"c.mask.png", png_},
                                                 {"c.txt", "a picture and its mask"}})});
  EXPECT_EQ(captions(), (std::vector<Json>{"two pictures", Json({"one", "two"}), "a picture and its mask"}));
  EXPECT_EQ(lost_causes(), (std::vector<std::string>{"a several_pictures", "b no_text"}));
  EXPECT_TRUE(contains(lost()[0].at("detail").get<std::string>(), "\"png\" was taken, \"jpg\" left out"));
}

}  // namespace
}  // namespace vicha
