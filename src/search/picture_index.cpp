#include "search/picture_index.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <string_view>

#include "base/error.h"
#include "concepts/store/store.h"

namespace vicha {
namespace {

constexpr std::string_view kRepeatIndex = "Repeat `vicha index`; it embeds nothing again that it has";

IndexDescription whole_description(const IndexPaths& paths) {
  require_whole_index(paths);
  return read_description(paths.description());
}

}  // namespace

PictureIndex::PictureIndex(const fs::path& folder)
    : paths_{folder},
      description_(whole_description(paths_)),
      calibration_(calibration_from_json(read_file(paths_.calibration()), paths_.calibration().string())),
      codes_(paths_.codes()),
      vectors_(paths_.vectors(), codes_.vector_offsets(), codes_.width()),
      lines_(paths_.files()) {
  if (codes_.header().build != description_.build || codes_.header().store_bytes != vectors_.file_bytes() ||
      lines_.bytes().size() != description_.files_bytes) {
    throw DataError(folder.string(), "its parts do not belong together: one of them was replaced", kRepeatIndex);
  }
  const EmbeddingStore background = EmbeddingStore::open(paths_.background());
  if (background.shape().width != codes_.width() || background.shape().vectors != 1) {
    throw DataError(paths_.background().string(), "does not belong to this index", kRepeatIndex);
  }
  background_ = background.rows(background.newest()).select(1, 0).contiguous();
}

std::vector<IndexedFile> PictureIndex::files(std::int64_t row) const {
  std::vector<IndexedFile> files;
  for (const std::uint32_t number : codes_.files(row)) {
    const auto [begin, end] = codes_.line(number);
    const std::string where = fmt::format("{}, line {}", paths_.files().string(), number + 1);
    if (begin >= end || end > lines_.bytes().size()) throw DataError(where, "is not there", kRepeatIndex);
    const auto* text = reinterpret_cast<const char*>(lines_.bytes().data());
    files.push_back(indexed_file_from_json({text + begin, static_cast<std::size_t>(end - begin)}, where));
  }
  return files;
}

fs::path PictureIndex::path(const IndexedFile& file) const {
  return (fs::path(description_.root) / file.name).lexically_normal();
}

}  // namespace vicha
