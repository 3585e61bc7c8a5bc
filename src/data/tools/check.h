// What is wrong with a data set, before anyone trains on it: `vicha data check`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/manifest/manifest.h"
#include "text/wordpiece/wordpiece.h"

namespace vicha {

struct CheckOptions {
  ManifestOptions manifest = {};
  std::int64_t max_words = 30;   ///< of a cleaned caption
  std::int64_t max_tokens = 25;  ///< of a caption, [CLS] included; counted where a tokenizer is given
  std::shared_ptr<const WordPiece> tokenizer = {};
  bool decode_images = true;  ///< open and decode every image; otherwise only the records are looked at
  std::int64_t threads = 0;   ///< 0: one for each core
  std::int64_t examples = 5;  ///< kept of each kind
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};  ///< images; called from many threads
};

/// One kind of finding.
struct Finding {
  std::string_view key = {};      ///< "missing_pictures": its name in JSON
  std::string_view meaning = {};  ///< for the table
  bool problem = true;            ///< false: worth knowing, but training copes with it
  bool looked = true;             ///< false: the options leave it out, and `count` says nothing
  std::int64_t count = 0;
  std::vector<std::string> examples = {};  ///< the first ones, in the order of the manifest
};

struct CheckReport {
  std::vector<std::string> manifests;
  std::int64_t records = 0;  ///< that can be used, as far as the manifest tells
  std::int64_t captions = 0, images = 0, image_ids = 0;
  std::int64_t image_bytes = 0;    ///< of the files that could be read
  std::int64_t longest_words = 0;  ///< of a cleaned caption
  std::int64_t longest_tokens = 0;
  int smallest_side = 0, largest_side = 0;  ///< of the images, in pixels; 0 where none was decoded
  std::vector<Finding> findings;            ///< all kinds, in a fixed order, those that were not met too

  /// Whether nothing is a problem.
  bool clean() const;
  const Finding& finding(std::string_view key) const;
  std::string to_json(int indent = 2) const;
  std::string to_table() const;
};

/// Memory: the manifest and about 40 bytes for each caption or image. Throws DataError only where a manifest cannot
/// be opened at all; all else is in the report.
CheckReport check_manifests(const std::vector<std::filesystem::path>& files, const CheckOptions& options = {});

}  // namespace vicha
