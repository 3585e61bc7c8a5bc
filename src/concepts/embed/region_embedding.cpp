#include "concepts/embed/region_embedding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "image/decode.h"
#include "image/regions.h"
#include "image/resize.h"

namespace vicha {

std::int64_t region_side(std::int64_t vectors, std::string_view where) {
  const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(vectors - 1))));
  if (vectors < 2 || vectors_with_regions(side) != vectors) {
    throw DataError(where, fmt::format("holds {} vectors a picture: no grid of regions", vectors),
                    "Make it with `vicha concepts embed --regions 6`");
  }
  return side;
}

void prepare_with_regions(const ConceptSource& source, std::span<const std::uint8_t> bytes, std::string_view name,
                          std::int64_t side, std::span<float> out) {
  const std::size_t one = 3 * static_cast<std::size_t>(source.side()) * static_cast<std::size_t>(source.side());
  VICHA_ASSERT(out.size() == one * static_cast<std::size_t>(vectors_with_regions(side)));
  source.prepare(bytes, name, out.first(one));
  if (side == 0) return;
  const Image image = decode_rgb(bytes, name);
  std::size_t place = one;
  for (const Box& box : region_grid(image.width, image.height, static_cast<int>(side), static_cast<int>(side))) {
    source.prepare(crop(image, box), out.subspan(place, one));
    place += one;
  }
}

ImageTags tags_of(const NearestWords& nearest, std::int64_t first, std::int64_t vectors, const TagOptions& options) {
  ImageTags tags;
  for (std::int64_t v = 0; v < vectors; ++v) {
    RegionTag tag;
    const float probability = nearest.probabilities_of(first + v)[0];
    if (static_cast<double>(probability) >= options.threshold) tag = {nearest.words_of(first + v)[0], probability};
    if (v > 0) tags.regions.push_back(tag);
    if (tag.word < 0) continue;
    const auto same =
        std::find_if(tags.best.begin(), tags.best.end(), [&](const RegionTag& t) { return t.word == tag.word; });
    if (same == tags.best.end()) {
      tags.best.push_back(tag);
    } else {
      same->probability = std::max(same->probability, tag.probability);
    }
  }
  std::stable_sort(tags.best.begin(), tags.best.end(),
                   [](const RegionTag& a, const RegionTag& b) { return a.probability > b.probability; });
  if (static_cast<std::int64_t>(tags.best.size()) > options.num_tags) {
    tags.best.resize(static_cast<std::size_t>(options.num_tags));
  }
  return tags;
}

}  // namespace vicha
