#include <ATen/ATen.h>

#include "base/error.h"
#include "tasks/downstream/explanation.h"

namespace vicha {

std::vector<WordMap> maps_of_words(const std::vector<std::string>& pieces, const at::Tensor& maps_TN,
                                   const PatchGrid& grid) {
  VICHA_ASSERT(static_cast<std::int64_t>(pieces.size()) == maps_TN.size(0) && maps_TN.size(1) == grid.patches());
  const at::Tensor rows = maps_TN.detach().to(at::kCPU, at::kFloat).view({-1, grid.rows, grid.columns});
  std::vector<WordMap> maps = {{"", rows.mean(0)}};
  for (std::size_t i = 1; i < pieces.size(); ++i) {  // 0 is [CLS]
    const at::Tensor map = rows[static_cast<std::int64_t>(i)];
    if (pieces[i].starts_with("##") && maps.size() > 1) {
      maps.back().word += pieces[i].substr(2);
      maps.back().map_HW = at::maximum(maps.back().map_HW, map);
    } else {
      maps.push_back({pieces[i], map});
    }
  }
  return maps;
}

}  // namespace vicha
