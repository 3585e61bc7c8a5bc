// From concepts and stamps to what is written: manifests, vocabulary, counts and the list of images.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "demo/demo.h"
#include "demo/demo_images.h"
#include "demo/demo_sources.h"

namespace vicha::demo {

/// An array of records (objects, whose fields keep their order).
using Records = std::vector<nlohmann::ordered_json>;

struct DemoSet {
  std::vector<std::pair<std::string, Records>> manifests;  ///< file name → records
  std::vector<std::string> vocabulary;                     ///< sorted
  nlohmann::ordered_json stats;
  std::vector<ImageTask> images;  ///< of every record of the manifests, each once
  BuildReport report;             ///< but for the images drawn and kept
};

DemoSet arrange(const std::vector<EmojiConcept>& concepts, const std::vector<Stamp>& stamps, DemoKwords kwords);

/// A JSON array with one record a line.
std::string manifest_text(const Records& records);

}  // namespace vicha::demo
