// Data sets in other forms made into manifests: `vicha data convert`. COCO's and Karpathy's JSON, other JSON objects,
// lists and lines whose fields have other names, tables (CSV, TSV).
//
// Names of pictures stay as they are, so they start at the new manifest's folder, or at the image root that is set
// where it is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/choice.h"

namespace vicha {

enum class SetForm { kRecords, kCoco, kKarpathy, kObject, kCsv, kTsv };

inline constexpr Choice<SetForm> kSetFormNames[] = {{"records", SetForm::kRecords},   {"coco", SetForm::kCoco},
                                                    {"karpathy", SetForm::kKarpathy}, {"object", SetForm::kObject},
                                                    {"csv", SetForm::kCsv},           {"tsv", SetForm::kTsv}};

struct ConvertOptions {
  std::optional<SetForm> form = {};      ///< none: told by the content
  std::vector<std::string> splits = {};  ///< those to take: of Karpathy's `split`, or of the field `split_field`
  std::string split_field = "split";
  std::string folder = {};                 ///< put in front of every picture's name: "val2014"
  std::string image = {};                  ///< field or column of the picture's name; empty: a usual one that is there
  std::vector<std::string> captions = {};  ///< of the captions, several make a list; empty: as above
  std::string id = {};    ///< of image_id; empty: `image_id` where it is there, in COCO the picture's id
  char delimiter = '\0';  ///< of a table; 0: tab, comma, semicolon or bar, whichever its first line has
  bool header = true;     ///< whether a table's first row names its columns
  bool quotes = true;     ///< whether quotation marks enclose cells of a table; otherwise they are text
};

struct ConvertReport {
  SetForm form = SetForm::kRecords;
  std::int64_t records = 0, captions = 0;  ///< written
  std::int64_t other_splits = 0;           ///< left out because their split was not asked for
  std::int64_t lost = 0;                   ///< what could not be used, named in `lost_file`
  std::filesystem::path lost_file;
  std::vector<std::string> examples;                         ///< the first of these, "place: why"
  std::vector<std::pair<std::string, std::int64_t>> splits;  ///< that are there, with their numbers of pictures
  std::vector<std::string> fields;                           ///< that were read, "image = filepath"
};

/// Writes the manifest `out`, a list or (.jsonl) lines, atomically, and OUT.lost.jsonl where something could not be
/// used. Memory: the file for JSON objects, otherwise little. Throws DataError where the file is none of these forms,
/// its fields cannot be told, or nothing could be used; UsageError where options do not fit.
ConvertReport convert_manifest(const std::filesystem::path& in, const std::filesystem::path& out,
                               const ConvertOptions& options = {});

}  // namespace vicha
