#include "search/earlier_index.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file_guard.h"
#include "base/log.h"
#include "search/damaged_part.h"
#include "search/index_check.h"

namespace vicha {

EarlierIndex::EarlierIndex(const IndexPaths& paths, const SourceWeights& weights) {
  std::error_code ignored;
  for (const fs::path& part : {paths.description(), paths.files(), paths.skipped(), paths.vectors(), paths.codes(),
                               paths.calibration(), paths.background(), paths.journal()}) {
    if (fs::exists(part, ignored)) go_on_with(part);
  }
  const std::string remedy = "Give another --out, or --rebuild to embed all pictures anew";
  if (fs::exists(paths.description(), ignored)) {
    try {
      description_ = read_description(paths.description());
    } catch (const DamagedPart&) {
      note(paths.description(), "is damaged");
    }
  }
  if (description_) {
    if (!description_->weights.same(weights)) {
      throw DataError(
          paths.folder.string(),
          fmt::format("is an index of {} and the model is {}", description_->weights.describe(), weights.describe()),
          remedy);
    }
    try {
      const MappedFile lines(paths.files());
      require_right_lines(paths, {reinterpret_cast<const char*>(lines.bytes().data()), lines.bytes().size()},
                          *description_);
      files_ = read_indexed_files(paths.files());
    } catch (const DataError&) {
      note(paths.files(), "is missing or damaged");
    }
  }
  for (std::size_t i = 0; i < files_.size(); ++i) by_name_.emplace(files_[i].name, i);
  if (!fs::exists(paths.vectors(), ignored)) {
    if (description_) note(paths.vectors(), "is missing");
    return;
  }
  try {
    vectors_ = EmbeddingStore::open(paths.vectors());
  } catch (const DataError&) {
    note(paths.vectors(), "is damaged");
    return;
  }
  if (!vectors_->source().same(weights)) {
    throw DataError(paths.vectors().string(),
                    fmt::format("is of {} and the model is {}", vectors_->source().describe(), weights.describe()),
                    remedy);
  }
  std::int64_t lost = 0;
  for (std::int64_t record = 0; record < vectors_->size(); ++record) {
    try {
      (void)vectors_->stored(record);
      sound_.push_back(true);
    } catch (const DataError&) {
      sound_.push_back(false);
      ++lost;
    }
  }
  if (lost > 0 || vectors_->lost_bytes() > 0) {
    note(paths.vectors(), lost > 0 ? fmt::format("is damaged: {} of {} vectors are lost", lost, vectors_->size())
                                   : "is damaged at its end");
  }
}

void EarlierIndex::note(const fs::path& part, std::string_view what) {
  damaged_ = true;
  log::warning("{} {}: it is made anew", part.string(), what);
}

const IndexedFile* EarlierIndex::find(std::string_view name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &files_[at->second];
}

bool EarlierIndex::has(std::uint64_t content) const { return record_of(content).has_value(); }

std::optional<std::int64_t> EarlierIndex::record_of(std::uint64_t content) const {
  if (!vectors_) return std::nullopt;
  const auto record = vectors_->find(content_key(content));
  return record && sound_[static_cast<std::size_t>(*record)] ? record : std::nullopt;
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
