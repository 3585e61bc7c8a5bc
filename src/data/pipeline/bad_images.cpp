#include "data/pipeline/bad_images.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/log.h"
#include "data/manifest/image_names.h"

namespace vicha {
namespace {

constexpr std::int64_t kAlwaysAllowed = 8;
constexpr std::size_t kNamed = 5;

/// Images that an earlier run has written down. What a killed run left half written is no image.
std::unordered_set<std::string> already_written(const std::filesystem::path& file) {
  std::unordered_set<std::string> images;
  std::error_code none;
  if (!std::filesystem::is_regular_file(file, none)) return images;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, false);
    if (row.is_object() && row.contains("image") && row["image"].is_string()) images.insert(row["image"]);
  }
  return images;
}

bool ends_inside_a_line(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in || in.tellg() <= 0) return false;
  in.seekg(-1, std::ios::end);
  return in.get() != '\n';
}

}  // namespace

void BadImages::add(std::int64_t image, std::string reason) {
  const std::lock_guard lock(mutex_);
  reasons_.try_emplace(image, std::move(reason));
}

std::optional<std::string> BadImages::reason(std::int64_t image) const {
  const std::lock_guard lock(mutex_);
  const auto found = reasons_.find(image);
  if (found == reasons_.end()) return std::nullopt;
  return found->second;
}

BadImageLog::BadImageLog(std::shared_ptr<const Manifest> manifest, double max_share, std::filesystem::path file,
                         BadImageSettings settings)
    : manifest_(std::move(manifest)),
      max_share_(max_share),
      allowed_(std::max(kAlwaysAllowed, static_cast<std::int64_t>(
                                            std::floor(max_share * static_cast<double>(manifest_->image_count()))))),
      file_(std::move(file)),
      settings_(std::move(settings)),
      written_(file_.empty() ? std::unordered_set<std::string>{} : already_written(file_)) {}

void BadImageLog::report(std::int64_t record, std::int64_t image, const std::string& plain_reason) {
  if (!seen_.insert(image).second) return;
  std::string reason = plain_reason;
  if (first_reasons_.size() < kNamed) {  // the hint may cost the reading of a folder
    if (const std::string hint = missing_file_hint(manifest_->image_file(image)); !hint.empty()) reason += ". " + hint;
    first_reasons_.push_back(reason);
  }
  log::warning("{}: skipped. {}", manifest_->where(record), reason);
  append(record, image, reason);
  if (count() > allowed_) stop();
}

void BadImageLog::append(std::int64_t record, std::int64_t number, const std::string& reason) {
  const std::string image(manifest_->image_file(number));
  if (file_.empty() || !written_.insert(image).second) return;
  const nlohmann::ordered_json row = {{"manifest", manifest_->file(record).string()},
                                      {"record", manifest_->number_in_file(record)},
                                      {"image", image},
                                      {"reason", reason}};
  std::string line = json_text(row) + "\n";
  if (ends_inside_a_line(file_)) line.insert(line.begin(), '\n');
  const GrowingFile out(file_, GrowingFile::Access::kAppend);
  if (::write(out.fd(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    throw Error(file_.string() + ": cannot write. Free space on the disk, then resume the run");
}

void BadImageLog::stop() const {
  const bool all = count() >= manifest_->image_count();
  const bool fixed = settings_.share.empty();
  const std::string too_many = fixed ? fmt::format(", more than the {} that may be", allowed_)
                                     : fmt::format(", more than {} = {} allows", settings_.share, max_share_);
  std::string remedy = fmt::format("`vicha data check` lists all of them; check {}, mend the files", settings_.folder);
  if (!fixed) remedy += fmt::format(" or raise {}", settings_.share);
  if (!settings_.otherwise.empty()) remedy += "; " + settings_.otherwise;
  throw DataError(manifest_->file(0).string(),
                  fmt::format("{} of {} pictures could not be read{}. The first: {}", count(), manifest_->image_count(),
                              all ? "" : too_many, fmt::join(first_reasons_, "; ")),
                  remedy);
}

}  // namespace vicha
