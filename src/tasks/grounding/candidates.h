// Candidate boxes of the pictures of a manifest, and the right box of each record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/manifest/manifest.h"
#include "data/pipeline/data_options.h"
#include "tasks/grounding/network/map_boxes.h"

namespace vicha {

/// {"image", "text", "ref_id", "bbox", "boxes", "width", "height", "split", "type"}: only image and text must be there.
Schema grounding_schema();
TextRule expression_rule();

/// Boxes in a picture's pixels, as its file has them.
struct Candidates {
  PictureSize size;
  std::vector<PixelBox> boxes;
  std::optional<PixelBox> right;  ///< the field "bbox"
};

class CandidateBoxes {
 public:
  /// Of all records, from `file` (GroundingMapOptions::boxes), or from the records where it is empty. `need_right`:
  /// each must have a right box. A picture's size is in the records (width, height), or is read from its file. Throws
  /// DataError naming file, record and remedy: for a file of boxes that is none or lacks a picture, a record without
  /// boxes or right box, a right box outside of the picture, and a picture all of whose boxes are.
  CandidateBoxes(const Manifest& manifest, const std::string& file, const DataOptions& data, bool need_right);

  const Candidates& operator[](std::int64_t record) const { return records_[static_cast<std::size_t>(record)]; }
  std::int64_t most() const { return most_; }  ///< candidates of any record
  // What is odd about them, of all records.
  std::int64_t empty() const { return empty_; }          ///< records without a candidate: none can be right
  std::int64_t cut() const { return cut_; }              ///< candidates that stick out of their picture by over a pixel
  std::int64_t unreached() const { return unreached_; }  ///< records of whose candidates none meets the right box

 private:
  void add(const Manifest& manifest, std::int64_t record, const std::string& file);
  PictureSize size_of(const Manifest& manifest, std::int64_t record, const DataOptions& data);

  std::vector<Candidates> records_;
  std::unordered_map<std::string, std::vector<PixelBox>> of_name_;  // by the keys of the file
  std::unordered_map<std::int64_t, PictureSize> size_of_image_;
  std::int64_t most_ = 0, empty_ = 0, cut_ = 0, unreached_ = 0;
};

}  // namespace vicha
