// Archives for tests, right ones and others.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/manifest/data_test_support.h"
#include "data/manifest/rewrite.h"
#include "data/tools/tar_manifest.h"

namespace vicha::testing_tar {

using namespace testing_data;  // NOLINT
using Json = nlohmann::ordered_json;

struct PackedMember {
  std::string name, content;
  unsigned type = AE_IFREG;
  std::string link = {};
};

/// An archive of any members, right ones and others.
inline fs::path write_tar(const fs::path& file, const std::vector<PackedMember>& members, bool gzip = false) {
  fs::create_directories(file.parent_path());
  struct archive* out = archive_write_new();
  archive_write_set_format_gnutar(out);
  if (gzip) archive_write_add_filter_gzip(out);
  EXPECT_EQ(archive_write_open_filename(out, file.c_str()), ARCHIVE_OK);
  for (const PackedMember& member : members) {
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

inline std::vector<Json> records_in(const fs::path& file) {
  std::vector<Json> records;
  for_each_record(file, [&](const Json& record, std::int64_t) { records.push_back(record); });
  return records;
}

inline std::vector<PackedMember> sample(const std::string& key, const std::string& image, const std::string& caption,
                                        const std::string& url) {
  return {{key + ".jpg", image}, {key + ".txt", caption}, {key + ".json", Json({{"url", url}, {"key", key}}).dump()}};
}

inline std::vector<PackedMember> operator+(std::vector<PackedMember> a, const std::vector<PackedMember>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// A folder to unpack into, and what came of it.
class TarTest : public ::testing::Test {
 protected:
  UnpackReport unpack(const std::vector<fs::path>& tars, UnpackOptions options = {}) const {
    options.out = folder_ / "out";
    options.threads = 2;
    return unpack_tars(tars, options);
  }
  static fs::path reported(std::string_view name) {
    return fs::path(VICHA_SOURCE_DIR) / "tests/golden/reported/tars" / name;
  }
  std::vector<Json> lost() const { return records_in(folder_ / "out/lost.jsonl"); }
  /// "key cause" of each lost sample.
  std::vector<std::string> lost_causes() const {
    std::vector<std::string> found;
    if (fs::file_size(folder_ / "out/lost.jsonl") == 0) return found;
    for (const Json& line : lost()) {
      found.push_back(line.at("key").get<std::string>() + " " + line.at("cause").get<std::string>());
    }
    return found;
  }
  std::vector<Json> captions() const {
    std::vector<Json> found;
    for (const Json& record : records_in(manifest_)) found.push_back(record.at("caption"));
    return found;
  }

  TemporaryFolder folder_;
  std::string png_ = noise_png(3);
  fs::path manifest_ = folder_ / "out/manifest.jsonl";
};

}  // namespace vicha::testing_tar
