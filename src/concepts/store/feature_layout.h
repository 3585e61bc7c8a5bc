// What the vectors of a store's records are, where they are features of a tower (room `features`) and not one embedding
// of each picture. It stands in the store's header.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vicha {

enum class FeatureKind {
  kPooled,   ///< one vector a view of a picture
  kPatches,  ///< one a patch of a view, row by row
  kTexts,    ///< one a text, which is the key
};

struct FeatureLayout {
  FeatureKind kind = FeatureKind::kPooled;
  std::int64_t views = 1;
  std::int64_t rows = 0, columns = 0;  ///< of the grid of patches; 0 for others
  std::string view_list = {};          ///< how each view was made, "whole; flipped"; empty: the picture as it is

  std::int64_t vectors_of_view() const { return kind == FeatureKind::kPatches ? rows * columns : 1; }
  std::int64_t vectors() const { return views * vectors_of_view(); }
  /// "pooled features", "features of 16x16 patches, 2 views (whole; flipped)", "features of texts".
  std::string describe() const;
  bool operator==(const FeatureLayout&) const = default;
};

}  // namespace vicha
