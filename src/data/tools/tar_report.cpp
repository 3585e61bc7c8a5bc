#include <fmt/format.h>

#include <numeric>

#include "data/tools/tar_manifest.h"

namespace vicha {

std::int64_t UnpackReport::lost_samples() const { return std::accumulate(lost.begin(), lost.end(), std::int64_t{0}); }

std::string UnpackReport::lost_by_cause() const {
  std::string text;
  for (std::size_t i = 0; i < lost.size(); ++i) {
    if (lost[i] == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", lost[i], cause_meaning(static_cast<LostCause>(i)));
  }
  return text;
}

std::vector<std::string> UnpackReport::advice() const {
  std::vector<std::string> lines;
  if (lost_for(LostCause::kDotsInKey) > 0) {
    lines.emplace_back(
        "A key ends at the first dot of a file's name, as in WebDataset: --key-end last-dot reads \"a.b.jpg\" and "
        "\"a.b.txt\" as one sample \"a.b\"");
  }
  if (lost_for(LostCause::kNoCaption) + lost_for(LostCause::kNoText) > 0) {
    lines.push_back(
        fmt::format("Choose where captions are by --caption-member or --caption-field. Members: {}. Fields of their "
                    "JSON that hold text: {}",
                    TarInventory::listed(inventory.members), TarInventory::listed(inventory.fields)));
  }
  if (lost_for(LostCause::kUnknownExtension) + lost_for(LostCause::kSeveralPictures) > 0) {
    lines.push_back(
        fmt::format("Choose the picture by --image-member. Members: {}", TarInventory::listed(inventory.members)));
  }
  return lines;
}

}  // namespace vicha
