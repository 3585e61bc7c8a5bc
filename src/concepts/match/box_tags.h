// Tags of regions from boxes that have names: a detector's, or those that whoever made the pictures knows. Tags of the
// latter kind are an oracle: a model that reads them has been told what no model can know of new pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vicha {

/// In pixels of the picture.
struct NamedBox {
  std::string name;
  double x = 0, y = 0, width = 0, height = 0;
};

/// A file of boxes: a JSON object, {"picture's name in the manifest": [{"name": "worm", "bbox": [x, y, width, height]},
/// …]}; other fields of a box are not read.
class NamedBoxes {
 public:
  /// Throws DataError naming the file if it is none.
  explicit NamedBoxes(const std::filesystem::path& file);
  /// Throws DataError naming file and picture if it has no list, or one of them is no box with a name.
  std::vector<NamedBox> of(const std::string& picture) const;

 private:
  [[noreturn]] void fail(const std::string& picture, std::string_view what) const;

  std::string file_;
  std::shared_ptr<nlohmann::json> json_;
};

struct BoxTagOptions {
  std::int64_t side = 6;       ///< rows and columns of the grid
  double share = 0.5;          ///< least share of a cell that a box of its tag covers
  std::int64_t num_tags = 10;  ///< of a picture, as its concepts
  std::string image_root = {};
  std::int64_t strip_parts = 0;
};

struct BoxTags {
  std::vector<std::string> regions;  ///< side * side, row by row; "" for none
  std::vector<std::string> best;     ///< distinct ones, those of most cells first, equal ones as they first come
};
/// The tag of a cell is the name of the box that covers most of it, of equal ones the first, if that is enough of it.
BoxTags box_tags(std::span<const NamedBox> boxes, std::int64_t width, std::int64_t height,
                 const BoxTagOptions& options);

struct BoxTagReport {
  std::int64_t records = 0, images = 0, tagged_regions = 0, regions = 0, words = 0;
};
/// Copies the manifest with `region_tags` and `kwords`. `boxes`: as NamedBoxes reads it, of all its pictures. Throws as
/// that does.
BoxTagReport assign_box_tags(const std::filesystem::path& manifest, const std::filesystem::path& boxes,
                             const std::filesystem::path& out, const BoxTagOptions& options);

}  // namespace vicha
