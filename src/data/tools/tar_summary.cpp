#include "data/tools/tar_summary.h"

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_number.h"
#include "base/json_text.h"

namespace vicha {
namespace {

using TarJson = nlohmann::json;

constexpr int kVersion = 2;
constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * kSecond + time.tv_nsec; }

/// All that the content of the folder depends on beside the archive.
TarJson options_of(const UnpackOptions& options) {
  return {{"key_end", options.key_end == KeyEnd::kFirstDot ? "first-dot" : "last-dot"},
          {"image_members", options.sample.image_members},
          {"caption_members", options.sample.caption_members},
          {"caption_fields", options.sample.caption_fields},
          {"fields", options.sample.fields},
          {"image_bytes", options.limits.image_bytes},
          {"text_bytes", options.limits.text_bytes}};
}

}  // namespace

FileStamp FileStamp::of(const std::filesystem::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) throw DataError(file.string(), std::strerror(errno), "Check the path");
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {.bytes = found.st_size,
          .inode = static_cast<std::int64_t>(found.st_ino),
          .modified_ns = nanoseconds(found.st_mtim),
          .changed_ns = nanoseconds(found.st_ctim),
          .seen_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()};
}

bool FileStamp::surely_as(const FileStamp& earlier) const {
  return bytes == earlier.bytes && inode == earlier.inode && modified_ns == earlier.modified_ns &&
         changed_ns == earlier.changed_ns && earlier.seen_ns - earlier.changed_ns > 2 * kSecond;
}

void TarSummary::write(const std::filesystem::path& folder, const UnpackOptions& options) const {
  const TarJson json = {{"version", kVersion},
                        {"options", options_of(options)},
                        {"bytes", stamp.bytes},
                        {"inode", stamp.inode},
                        {"modified_ns", stamp.modified_ns},
                        {"changed_ns", stamp.changed_ns},
                        {"seen_ns", stamp.seen_ns},
                        {"sha256", unpacked.sha256},
                        {"records", unpacked.records},
                        {"apart", unpacked.apart},
                        {"notes", unpacked.notes},
                        {"members", unpacked.inventory.members},
                        {"json_fields", unpacked.inventory.fields}};
  write_file_atomic(folder / kTarSummary, json_text(json) + "\n");
}

std::optional<TarSummary> TarSummary::read(const std::filesystem::path& folder, const UnpackOptions& options) {
  const fs::path file = folder / kTarSummary;
  if (!fs::exists(file)) {
    throw DataError(folder.string(), "is there already, but was not made by this command", "Move it away");
  }
  const TarJson json = TarJson::parse(read_file(file), nullptr, false);
  try {
    if (json.at("version") != kVersion || json.at("options") != options_of(options)) return std::nullopt;
    TarSummary summary;
    summary.stamp = {.bytes = whole_number<std::int64_t>(json, "bytes"),
                     .inode = whole_number<std::int64_t>(json, "inode"),
                     .modified_ns = whole_number<std::int64_t>(json, "modified_ns"),
                     .changed_ns = whole_number<std::int64_t>(json, "changed_ns"),
                     .seen_ns = whole_number<std::int64_t>(json, "seen_ns")};
    summary.unpacked.sha256 = json.at("sha256");
    summary.unpacked.records = whole_number<std::int64_t>(json, "records");
    summary.unpacked.apart = whole_number<std::int64_t>(json, "apart");
    json.at("notes").get_to(summary.unpacked.notes);
    json.at("members").get_to(summary.unpacked.inventory.members);
    json.at("json_fields").get_to(summary.unpacked.inventory.fields);
    return summary;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace vicha
