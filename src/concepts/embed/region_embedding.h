// Region mode (method, section 4, "Regions and tags"): an image and the cells of a grid over it, each embedded; and
// the words that name them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "concepts/source/source.h"
#include "concepts/store/nearest.h"

namespace vicha {

/// Vectors of an image with a grid of side x side regions: the whole image, then the regions row by row. 1 for side
/// 0, no regions.
constexpr std::int64_t vectors_with_regions(std::int64_t side) { return 1 + side * side; }
/// The side of the grid of records with so many vectors; throws DataError naming `where` if it is none.
std::int64_t region_side(std::int64_t vectors, std::string_view where);

/// The whole image as the source prepares the file, then each region cut out and prepared as an image of its own,
/// into `out` [vectors, 3, R, R]. Throws DataError naming `name` if the file cannot be read.
void prepare_with_regions(const ConceptSource& source, std::span<const std::uint8_t> bytes, std::string_view name,
                          std::int64_t side, std::span<float> out);

struct RegionTag {
  std::int32_t word = -1;  ///< -1: no word is probable enough
  float probability = 0;
};

struct ImageTags {
  std::vector<RegionTag> regions;  ///< side * side
  std::vector<RegionTag> best;     ///< distinct words of regions and whole image, most probable first
};

struct TagOptions {
  double threshold = 0.5;  ///< least softmax(scale * cosine) over the vocabulary
  std::int64_t num_tags = 10;
};

/// From the likeliest word of each vector (`nearest` with probabilities) of one image, rows `first` to `first +
/// vectors - 1`. The whole image's word is a tag of the image as well; of equally probable words the one of the
/// earlier vector comes first.
ImageTags tags_of(const NearestWords& nearest, std::int64_t first, std::int64_t vectors, const TagOptions& options);

}  // namespace vicha
