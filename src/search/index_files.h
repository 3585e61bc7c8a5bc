// The parts of an index's folder that are text: what it is, which files it is of, which were left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "concepts/source/provenance.h"
#include "search/picture_list.h"

namespace vicha {

/// Where the parts lie. All but `work` are replaced by `vicha index` when they are complete; index.json is removed
/// first and written last, so that a folder with it is whole.
struct IndexPaths {
  fs::path folder;

  fs::path description() const { return folder / "index.json"; }
  fs::path files() const { return folder / "files.jsonl"; }
  fs::path skipped() const { return folder / "skipped.jsonl"; }
  fs::path vectors() const { return folder / "pictures.emb"; }
  fs::path codes() const { return folder / "codes.bin"; }
  fs::path background() const { return folder / "background.emb"; }
  fs::path calibration() const { return folder / "calibration.json"; }
  fs::path work() const { return folder / "work"; }
  fs::path journal() const { return work() / "new.emb"; }
};

struct IndexDescription {
  std::string source;  ///< folder or manifest, absolute
  std::string root;    ///< what names of files.jsonl are relative to
  std::string model;   ///< as it was given, paths made absolute
  SourceWeights weights;
  std::int64_t files = 0, pictures = 0, skipped = 0;
  std::uint64_t build = 0;
  std::uint64_t files_bytes = 0;
  std::uint64_t calibration_sum = 0;  ///< of calibration.json; 0: an earlier program's, which wrote none

  std::string to_json() const;
};
/// Throws DamagedPart (search/damaged_part.h), or DataError for one of a later version.
IndexDescription read_description(const fs::path& file);

/// A line of files.jsonl.
struct IndexedFile {
  std::string name;
  std::uint64_t size = 0;
  std::int64_t modified = 0;
  std::uint64_t content = 0;  ///< content_hash of its bytes
  std::int64_t row = 0;       ///< of its vector: files of the same content share one

  std::string to_json() const;
};
/// `where` names it in messages.
IndexedFile indexed_file_from_json(std::string_view json, std::string_view where);
std::vector<IndexedFile> read_indexed_files(const fs::path& file);

std::string to_json(const SkippedPicture& skipped);

/// 16 hexadecimal digits: the key of a content's vector in pictures.emb.
std::string content_key(std::uint64_t content);

/// Whether the index of this folder is there and whole. Throws DataError if it is half built, or if the folder is none.
void require_whole_index(const IndexPaths& paths);

}  // namespace vicha
