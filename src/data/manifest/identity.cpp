#include "data/manifest/identity.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/json_text.h"

namespace vicha {
namespace {

/// As the manifest spells it: `1`, `"1"`, or "none".
std::string spelled_id(const Manifest& manifest, std::int64_t record) {
  try {
    const auto json = nlohmann::json::parse(manifest.json(record), nullptr, false);
    if (json.is_object() && json.contains("image_id")) {
      return json_text(json["image_id"]);
    }
    return json.is_object() ? "none" : "another";
  } catch (const DataError&) {
    return "another";  // the file has changed since
  }
}

}  // namespace

IdConflicts find_id_conflicts(const Manifest& manifest) {
  constexpr std::int64_t kNone = -1;
  std::vector<std::int64_t> record_of_file(static_cast<std::size_t>(manifest.image_count()), kNone),
      record_of_id(static_cast<std::size_t>(manifest.image_id_count()), kNone);
  std::vector<bool> told_file(record_of_file.size()), told_id(record_of_id.size());
  IdConflicts found;
  for (std::int64_t record = 0; record < manifest.size(); ++record) {
    const auto file = static_cast<std::size_t>(manifest.image_number(record)),
               id = static_cast<std::size_t>(manifest.image_id(record));
    if (record_of_file[file] == kNone) record_of_file[file] = record;
    if (record_of_id[id] == kNone) record_of_id[id] = record;
    const std::int64_t by_file = record_of_file[file], by_id = record_of_id[id];
    // Ids of different manifests are different ones, and say nothing about each other.
    const bool same_manifest = manifest.file(by_file) == manifest.file(record);
    if (manifest.image_id(by_file) != manifest.image_id(record) && same_manifest && !told_file[file]) {
      told_file[file] = true;
      if (found.files++ == 0) {
        found.first_file = fmt::format("{} has image_id {} in {} and {} in record {}", manifest.image_path(record),
                                       spelled_id(manifest, by_file), manifest.where(by_file),
                                       spelled_id(manifest, record), manifest.number_in_file(record));
      }
    }
    if (manifest.image_number(by_id) != manifest.image_number(record) && !told_id[id]) {
      told_id[id] = true;
      if (found.ids++ == 0) {
        found.first_id = fmt::format("image_id {} stands for {} in {} and for {} in record {}",
                                     spelled_id(manifest, record), manifest.image_path(by_id), manifest.where(by_id),
                                     manifest.image_path(record), manifest.number_in_file(record));
      }
    }
  }
  return found;
}

std::vector<std::int64_t> same_files(const Manifest& manifest) {
  std::vector<std::int64_t> same(static_cast<std::size_t>(manifest.image_count()));
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::int64_t> first;
  for (std::int64_t image = 0; image < manifest.image_count(); ++image) {
    struct stat info {};
    std::int64_t number = image;
    // Some network file systems number no files.
    if (::stat(std::string(manifest.image_file(image)).c_str(), &info) == 0 && info.st_ino != 0) {
      number = first.try_emplace({info.st_dev, info.st_ino}, image).first->second;
    }
    same[static_cast<std::size_t>(image)] = number;
  }
  return same;
}

}  // namespace vicha
