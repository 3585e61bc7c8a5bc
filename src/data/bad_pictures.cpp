#include "data/bad_pictures.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"

namespace vicha {
namespace {

constexpr std::int64_t kAlwaysAllowed = 8;
constexpr std::size_t kNamed = 5;

/// Pictures that an earlier run has written down. What a killed run left half written is no picture.
std::unordered_set<std::string> already_written(const std::filesystem::path& file) {
  std::unordered_set<std::string> pictures;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (row.is_object() && row.contains("image") && row["image"].is_string()) pictures.insert(row["image"]);
  }
  return pictures;
}

bool ends_inside_a_line(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in || in.tellg() <= 0) return false;
  in.seekg(-1, std::ios::end);
  return in.get() != '\n';
}

}  // namespace

void BadPictures::add(std::int64_t image, std::string reason) {
  const std::lock_guard lock(mutex_);
  reasons_.try_emplace(image, std::move(reason));
}

std::optional<std::string> BadPictures::reason(std::int64_t image) const {
  const std::lock_guard lock(mutex_);
  const auto found = reasons_.find(image);
  if (found == reasons_.end()) return std::nullopt;
  return found->second;
}

BadPictureLog::BadPictureLog(std::shared_ptr<const Manifest> manifest, double max_share, std::filesystem::path file)
    : manifest_(std::move(manifest)),
      max_share_(max_share),
      allowed_(std::max(kAlwaysAllowed, static_cast<std::int64_t>(
                                            std::floor(max_share * static_cast<double>(manifest_->image_count()))))),
      file_(std::move(file)),
      written_(file_.empty() ? std::unordered_set<std::string>{} : already_written(file_)) {}

void BadPictureLog::report(std::int64_t record, const std::string& reason) {
  if (!seen_.insert(manifest_->image_number(record)).second) return;
  if (first_reasons_.size() < kNamed) first_reasons_.push_back(reason);
  log::warning("{}: skipped. {}", manifest_->where(record), reason);
  append(record, reason);
  if (count() > allowed_) stop();
}

void BadPictureLog::append(std::int64_t record, const std::string& reason) {
  const std::string image(manifest_->image_path(record));
  if (file_.empty() || !written_.insert(image).second) return;
  const nlohmann::ordered_json row = {{"manifest", manifest_->file(record).string()},
                                      {"record", manifest_->number_in_file(record)},
                                      {"image", image},
                                      {"reason", reason}};
  const bool broken_line = ends_inside_a_line(file_);
  std::ofstream out(file_, std::ios::binary | std::ios::app);
  if (broken_line) out << '\n';
  out << row.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n' << std::flush;
  if (!out) throw Error(file_.string() + ": cannot write. Free space on the disk, then resume the run");
}

void BadPictureLog::stop() const {
  const bool all = count() >= manifest_->image_count();
  throw DataError(
      manifest_->file(0).string(),
      fmt::format("{} of {} pictures could not be read{}. The first: {}", count(), manifest_->image_count(),
                  all ? "" : fmt::format(", more than data.max_bad_share = {} allows", max_share_),
                  fmt::join(first_reasons_, "; ")),
      "`vicha data check` lists all of them; check data.image_root and data.strip_parts, mend the files or raise "
      "data.max_bad_share");
}

}  // namespace vicha
