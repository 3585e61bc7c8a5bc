#include "search/picture_index.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <string_view>

#include "base/error.h"
#include "search/damaged_part.h"
#include "search/index_check.h"

namespace vicha {
namespace {

IndexDescription whole_description(const IndexPaths& paths) {
  require_whole_index(paths);
  std::error_code ignored;
  for (const fs::path& part :
       {paths.files(), paths.vectors(), paths.codes(), paths.background(), paths.calibration()}) {
    if (!fs::exists(part, ignored)) throw DamagedPart(part.string(), "is missing");
  }
  return read_description(paths.description());
}

}  // namespace

PictureIndex::PictureIndex(const fs::path& folder)
    : paths_{folder},
      description_(whole_description(paths_)),
      calibration_(read_calibration(paths_.calibration(), &description_)),
      codes_(paths_.codes()),
      vectors_(paths_.vectors(), codes_.vector_offsets(), codes_.width()),
      lines_(paths_.files()) {
  if (codes_.header().build != description_.build || codes_.header().store_bytes != vectors_.file_bytes() ||
      lines_.bytes().size() != description_.files_bytes || codes_.rows() != description_.pictures) {
    throw DamagedPart(folder.string(), "its parts do not belong together: one of them was replaced");
  }
  const std::string_view lines(reinterpret_cast<const char*>(lines_.bytes().data()), lines_.bytes().size());
  if (lines.size() <= kQuicklyRead) require_right_lines(paths_, lines, description_);
  if (codes_.header().file_bytes <= kQuicklyRead) require_right_codes(paths_.codes(), codes_);
  if (vectors_.file_bytes() <= kQuicklyRead) require_right_store(paths_.vectors());
  background_ = read_background(paths_.background(), codes_.width());
}

std::vector<IndexedFile> PictureIndex::files(std::int64_t row) const {
  std::vector<IndexedFile> files;
  for (const std::uint32_t number : codes_.files(row)) {
    const auto [begin, end] = codes_.line(number);
    const std::string where = fmt::format("{}, line {}", paths_.files().string(), number + 1);
    if (begin >= end || end > lines_.bytes().size()) throw DamagedPart(where, "is not there");
    const auto* text = reinterpret_cast<const char*>(lines_.bytes().data());
    files.push_back(indexed_file_from_json({text + begin, static_cast<std::size_t>(end - begin)}, where));
  }
  return files;
}

fs::path PictureIndex::path(const IndexedFile& file) const {
  return (fs::path(description_.root) / file.name).lexically_normal();
}

}  // namespace vicha
