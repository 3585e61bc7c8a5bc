// A detector's boxes for the pictures of a set, as RefCOCO's come. Used inside of this room only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "data/tools/convert_sink.h"

namespace vicha {

/// A picture of COCO's `images`.
struct CocoPicture {
  std::string name;
  std::int64_t width = 0, height = 0;  ///< pixels
};

class Detections {
 public:
  /// {image id: [[x, y, width, height, …]]}, a list of {"image_id", "bbox" or "box", "score"}, or {"dets": such a
  /// list}. Without options().boxes there are none. Throws DataError where the file is none of these.
  explicit Detections(ConvertSink& sink);

  /// Boxes of a picture for its record: [[x, y, width, height]], none outside the picture; null where they go to a file
  /// of their own or there are none at all.
  nlohmann::ordered_json of(std::int64_t image, const CocoPicture& picture, const std::string& name);
  /// Writes options().boxes_out, the boxes as they were, by the names that `of` was asked for; says what was missing.
  void finish();

 private:
  using Boxes = nlohmann::ordered_json;
  void read();
  void add(const std::string& where, std::int64_t image, nlohmann::ordered_json box);

  ConvertSink& sink_;
  std::unordered_map<std::int64_t, Boxes> boxes_;
  Boxes by_name_ = Boxes::array();  // pairs of name and boxes, in the manifest's order
  std::unordered_set<std::int64_t> seen_;
  std::int64_t without_ = 0;
};

}  // namespace vicha
