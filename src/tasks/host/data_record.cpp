#include "tasks/host/data_record.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"

namespace vicha {
namespace {

constexpr std::uint64_t kMostBytes = 64 << 20;

std::vector<ContentDigest> digests_of(const fs::path& file) {
  try {
    std::vector<ContentDigest> digests;
    const auto json = nlohmann::json::parse(read_file(file, kMostBytes));
    for (const auto& one : json.at("manifests")) {
      digests.push_back({one.at("file"), one.at("records"), one.at("sha256"), one.at("any_order"), one.at("pictures"),
                         one.value("plain", "")});
    }
    return digests;
  } catch (const nlohmann::json::exception&) {
    throw DataError(file.string(), "is not the record of a run's data", "The checkpoint is damaged; use another one");
  }
}

}  // namespace

std::string data_record(const std::vector<ContentDigest>& digests) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ContentDigest& one : digests) {
    list.push_back({{"file", one.file},
                    {"records", one.records},
                    {"sha256", one.sha256},
                    {"any_order", one.any_order},
                    {"pictures", one.pictures},
                    {"plain", one.plain}});
  }
  const nlohmann::ordered_json json = {{"manifests", list}};
  return json_text(json, 1) + "\n";
}

DataMatch compare_data(const fs::path& checkpoint, const std::vector<ContentDigest>& now, bool allow_changes) {
  const fs::path file = checkpoint / kDataRecord;
  if (!fs::exists(file)) {
    log::info(
        "{} is from before checkpoints kept what their manifests said: whether the data are still the same is not "
        "checked",
        checkpoint.string());
    return DataMatch::kUnknown;
  }
  const std::vector<std::string> changes = content_changes(digests_of(file), now);
  if (changes.empty()) return DataMatch::kSame;
  const std::string what = fmt::format("{}", fmt::join(changes, "; "));
  if (!allow_changes) {
    throw DataError(
        checkpoint.string(), "was trained on other data: " + what,
        "Put the data back as they were, go on with the changed ones by --allow-changed-data, or start a new "
        "run with --resume none or another --out");
  }
  log::warning("{} was trained on other data: {}. The run goes on, but is not the one it would have been",
               checkpoint.string(), what);
  return DataMatch::kChanged;
}

}  // namespace vicha
