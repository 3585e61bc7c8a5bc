// Images that cannot be read: remembered, counted, written down once each, too many of them stop the run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "data/manifest/manifest.h"

namespace vicha {

/// Found by the loader's workers, in any order. Thread-safe. Images go by Manifest::image_number.
class BadImages {
 public:
  void add(std::int64_t image, std::string reason);
  std::optional<std::string> reason(std::int64_t image) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::int64_t, std::string> reasons_;
};

/// How the user of a command sets what bad images are judged by; messages name it.
struct BadImageSettings {
  std::string share = "data.max_bad_share";  ///< empty: nothing raises it
  std::string folder = "data.image_root and data.strip_parts";
  std::string otherwise = {};  ///< what else can be done, a clause
};

/// Told in the order of the samples, so that what it counts, writes and refuses does not depend on the workers.
class BadImageLog {
 public:
  /// `file`: JSON lines that are appended to, images named there already are not named again; empty: none.
  BadImageLog(std::shared_ptr<const Manifest> manifest, double max_share, std::filesystem::path file,
              BadImageSettings settings = {});

  /// Images that may be bad: the share of all, but a few at least.
  std::int64_t allowed() const { return allowed_; }
  std::int64_t count() const { return static_cast<std::int64_t>(seen_.size()); }

  /// A record was skipped because an image of its is bad. Throws DataError when there are too many, Error if the file
  /// cannot be written.
  void report(std::int64_t record, std::int64_t image, const std::string& reason);
  void report(std::int64_t record, const std::string& reason) {
    report(record, manifest_->image_number(record), reason);
  }
  /// Names the first bad images.
  [[noreturn]] void stop() const;

 private:
  void append(std::int64_t record, std::int64_t image, const std::string& reason);

  std::shared_ptr<const Manifest> manifest_;
  double max_share_;
  std::int64_t allowed_;
  std::filesystem::path file_;
  BadImageSettings settings_;
  std::unordered_set<std::int64_t> seen_;
  std::unordered_set<std::string> written_;
  std::vector<std::string> first_reasons_;
};

}  // namespace vicha
