#include "search/earlier_index.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file_guard.h"

namespace vicha {

EarlierIndex::EarlierIndex(const IndexPaths& paths, const SourceWeights& weights) {
  std::error_code ignored;
  for (const fs::path& part : {paths.description(), paths.files(), paths.skipped(), paths.vectors(), paths.codes(),
                               paths.calibration(), paths.background(), paths.journal()}) {
    if (fs::exists(part, ignored)) go_on_with(part);
  }
  const std::string remedy = "Give another --out, or --rebuild to embed all pictures anew";
  if (fs::exists(paths.description(), ignored)) {
    description_ = read_description(paths.description());
    if (!description_->weights.same(weights)) {
      throw DataError(
          paths.folder.string(),
          fmt::format("is an index of {} and the model is {}", description_->weights.describe(), weights.describe()),
          remedy);
    }
    files_ = read_indexed_files(paths.files());
  }
  for (std::size_t i = 0; i < files_.size(); ++i) by_name_.emplace(files_[i].name, i);
  if (!fs::exists(paths.vectors(), ignored)) return;
  vectors_ = EmbeddingStore::open(paths.vectors());
  if (!vectors_->source().same(weights)) {
    throw DataError(paths.vectors().string(),
                    fmt::format("is of {} and the model is {}", vectors_->source().describe(), weights.describe()),
                    remedy);
  }
}

const IndexedFile* EarlierIndex::find(std::string_view name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &files_[at->second];
}

bool EarlierIndex::has(std::uint64_t content) const {
  return vectors_ && vectors_->find(content_key(content)).has_value();
}

void require_index_folder(const IndexPaths& paths) {
  std::error_code failed;
  const fs::file_status status = fs::status(paths.folder, failed);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status)) {
    throw UsageError(fmt::format("{} is a file: an index is a folder. Give --out another name", paths.folder.string()));
  }
  for (const fs::path& part : {paths.description(), paths.codes(), paths.work(), paths.vectors()}) {
    if (fs::exists(part, failed)) return;
  }
  if (!fs::is_empty(paths.folder, failed)) {
    throw UsageError(
        fmt::format("{} is a folder with other things in it. Give --out the name of a new folder, or of an index",
                    paths.folder.string()));
  }
}

}  // namespace vicha
